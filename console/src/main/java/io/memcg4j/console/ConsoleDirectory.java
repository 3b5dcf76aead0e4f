package io.memcg4j.console;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.file.DirectoryStream;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFileAttributes;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Where consoles of this user's JVMs are found: a file for each, with its address and its token, in
 * a folder that nobody else may read. Any thread.
 */
public final class ConsoleDirectory {
  /*
   * Layout     memcg4j below XDG_RUNTIME_DIR, else memcg4j-USER below java.io.tmpdir, 0700; in it
   *            PID-N.json, 0600, the first of a JVM PID.json. A file appears whole, by a rename.
   * Invariant  nothing is read from, or written to, a folder of another user or one that others may
   *            enter; no link is followed.
   */
  private static final Set<PosixFilePermission> FOLDER =
      PosixFilePermissions.fromString("rwx------");
  private static final Set<PosixFilePermission> FILE = PosixFilePermissions.fromString("rw-------");
  private static final AtomicInteger COUNT = new AtomicInteger();

  /** Clocks of processes are read in ticks: starts that differ by less are of one process. */
  private static final long SAME_START_MILLIS = 2_000;

  private final Path folder;

  ConsoleDirectory(Path folder) {
    this.folder = folder;
  }

  /**
   * The directory of this user.
   *
   * @return it; its folder need not exist
   */
  public static ConsoleDirectory ofThisUser() {
    String runtime = System.getenv("XDG_RUNTIME_DIR");
    if (runtime != null && runtime.startsWith("/") && Files.isDirectory(Path.of(runtime))) {
      return new ConsoleDirectory(Path.of(runtime, "memcg4j"));
    }
    String user = System.getProperty("user.name", "").replaceAll("[^A-Za-z0-9._-]", "_");
    return new ConsoleDirectory(
        Path.of(System.getProperty("java.io.tmpdir", "/tmp"), "memcg4j-" + user));
  }

  /**
   * The folder with the files.
   *
   * @return a path
   */
  public Path folder() {
    return folder;
  }

  /**
   * The consoles of processes that are alive. Files of others are removed.
   *
   * @return by pid, then by start
   * @throws UncheckedIOException if the folder is there and cannot be read
   */
  public List<RunningConsole> list() {
    List<RunningConsole> found = new ArrayList<>();
    if (!isPrivate(folder, FOLDER)) {
      return found;
    }
    try (DirectoryStream<Path> files = Files.newDirectoryStream(folder, "*.json")) {
      for (Path file : files) {
        if (isPrivate(file, FILE)) {
          read(file, found);
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    found.sort(
        Comparator.comparingLong(RunningConsole::pid).thenComparing(RunningConsole::started));
    return found;
  }

  private static void read(Path file, List<RunningConsole> found) throws IOException {
    String text;
    try {
      text = Files.readString(file);
    } catch (NoSuchFileException e) {
      return; // closed just now
    }
    try {
      Map<String, String> values = JsonReader.object(text);
      long pid = Long.parseLong(values.getOrDefault("pid", ""));
      long processStart = Long.parseLong(values.getOrDefault("processStarted", ""));
      if (!isAlive(pid, processStart)) {
        Files.deleteIfExists(file);
        return;
      }
      found.add(
          new RunningConsole(
              pid,
              values.getOrDefault("name", ""),
              URI.create(values.getOrDefault("uri", "")),
              values.getOrDefault("token", ""),
              Instant.ofEpochMilli(Long.parseLong(values.getOrDefault("started", "")))));
    } catch (IllegalArgumentException e) {
      // Not ours: left alone.
      System.getLogger(ConsoleDirectory.class.getName())
          .log(System.Logger.Level.DEBUG, "no console in " + file, e);
    }
  }

  private static boolean isAlive(long pid, long processStartMillis) {
    return ProcessHandle.of(pid)
        .filter(ProcessHandle::isAlive)
        .map(process ->
            process
                .info()
                .startInstant()
                .map(start ->
                    Math.abs(start.toEpochMilli() - processStartMillis) < SAME_START_MILLIS)
                .orElse(true))
        .orElse(false);
  }

  private static long processStartMillis() {
    return ProcessHandle.current()
        .info()
        .startInstant()
        .map(Instant::toEpochMilli)
        .orElseGet(System::currentTimeMillis);
  }

  /**
   * Writes the file of a console.
   *
   * @return the file
   * @throws IOException if it cannot be written, or the folder is not private
   */
  Path register(RunningConsole console) throws IOException {
    try {
      Files.createDirectory(folder, PosixFilePermissions.asFileAttribute(FOLDER));
    } catch (FileAlreadyExistsException e) {
      if (!isPrivate(folder, FOLDER)) {
        throw new IOException(
            "folder is not private: path=" + folder + " legal=own folder with mode 0700", e);
      }
    }
    String text =
        new Json()
            .beginObject()
            .put("pid", console.pid())
            .put("processStarted", processStartMillis())
            .put("name", console.name())
            .put("uri", console.uri().toString())
            .put("token", console.token())
            .put("started", console.started().toEpochMilli())
            .endObject()
            .toString();
    int number = COUNT.getAndIncrement();
    String name = number == 0 ? Long.toString(console.pid()) : console.pid() + "-" + number;
    Path temporary =
        Files.createTempFile(folder, name, ".tmp", PosixFilePermissions.asFileAttribute(FILE));
    try {
      Files.writeString(temporary, text);
      return Files.move(
          temporary,
          folder.resolve(name + ".json"),
          StandardCopyOption.ATOMIC_MOVE,
          StandardCopyOption.REPLACE_EXISTING);
    } finally {
      Files.deleteIfExists(temporary);
    }
  }

  /** Whether it is this user's, no link, and nobody else may do anything with it. */
  private static boolean isPrivate(Path path, Set<PosixFilePermission> most) {
    try {
      PosixFileAttributes attributes =
          Files.readAttributes(path, PosixFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
      return !attributes.isSymbolicLink()
          && most.containsAll(attributes.permissions())
          && isThisUsers(attributes);
    } catch (IOException e) {
      return false;
    }
  }

  /** The owner of /proc/self is who this process runs as, which user.name need not be. */
  private static boolean isThisUsers(PosixFileAttributes attributes) throws IOException {
    Path self = Path.of("/proc/self");
    Path mine = Files.exists(self) ? self : Path.of(System.getProperty("user.home", "/"));
    return attributes.owner().equals(Files.getOwner(mine));
  }
}
