package io.memcg4j.benchmarks;

import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.DirectoryStream;
import java.nio.file.FileSystemNotFoundException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.CodeSource;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Where the project's own traces are: {@code benchmarks/traces} below the folder that the system
 * property {@code memcg4j.home} names (the launch script sets it), else {@code traces} in a folder
 * above the one that this class was loaded from.
 */
final class TraceFiles {
  /** The project's top folder, as the launch script passes it on. */
  static final String HOME_PROPERTY = "memcg4j.home";

  private static final String FOLDER = "traces";

  private TraceFiles() {}

  /**
   * The project's traces in the order of their names.
   *
   * @throws UsageError if there are none
   */
  static List<Path> all() {
    Path folder = folder();
    List<Path> found = new ArrayList<>();
    if (Files.isDirectory(folder)) {
      try (DirectoryStream<Path> files = Files.newDirectoryStream(folder, "*.trace.gz")) {
        files.forEach(found::add);
      } catch (IOException e) {
        throw new UsageError("cannot list traces: folder=" + folder + " cause=" + e.getMessage());
      }
    }
    if (found.isEmpty()) {
      throw new UsageError("no traces found: folder=" + folder + " pattern=*.trace.gz");
    }
    found.sort(null);
    return found;
  }

  /** The file that an argument names: a path, or the short name of one of the project's traces. */
  static Path find(String argument) {
    Path path = Path.of(argument);
    if (!Files.exists(path) && path.getNameCount() == 1) {
      Path own = folder().resolve(argument + ".trace.gz");
      return Files.exists(own) ? own : path;
    }
    return path;
  }

  private static Path folder() {
    @Nullable String home = System.getProperty(HOME_PROPERTY);
    return home != null && !home.isEmpty()
        ? Path.of(home, "benchmarks", FOLDER)
        : besideThisClass();
  }

  /** The first folder of that name on the way up from where this class was loaded. */
  private static Path besideThisClass() {
    @Nullable CodeSource source = TraceFiles.class.getProtectionDomain().getCodeSource();
    if (source != null) {
      try {
        @Nullable Path up = Path.of(source.getLocation().toURI());
        for (; up != null; up = up.getParent()) {
          if (Files.isDirectory(up.resolve(FOLDER))) {
            return up.resolve(FOLDER);
          }
        }
      } catch (URISyntaxException | IllegalArgumentException | FileSystemNotFoundException e) {
        // Loaded from no file: only the property can tell.
      }
    }
    return Path.of("benchmarks", FOLDER);
  }
}
