package io.memcg4j.memcg;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** The files of the operating system's memory controller for the group of this process. */
final class CgroupFiles {
  /*
   * Layout     levels: the folders from the process's group up to the root of the mount, own first.
   *            A process sees no further; what holds above its mount it cannot know.
   * Invariant  limit is the lowest of all levels. A file that could be read once and cannot any
   *            more counts with its last value: a limit is never lifted by a failure.
   * Locks      none; any thread. Every call reads the files anew.
   * Not        that the process still is in that group: moves of processes are not followed.
   * guaranteed Values of one instant: files are read one after the other.
   */

  /** From here on a limit is none: version 1 has no word for it but a number near 2^63. */
  private static final long NO_LIMIT_FROM = 1L << 60;

  /** What the controller's files are called. */
  enum Version {
    V1("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    V2("memory.max", "memory.current", "inactive_file");

    final String max;
    final String current;
    final String inactiveFile; // line of memory.stat

    Version(String max, String current, String inactiveFile) {
      this.max = max;
      this.current = current;
      this.inactiveFile = inactiveFile;
    }
  }

  private final Version version;
  private final List<Path> levels;
  private final Consumer<String> report;
  private final Map<Path, Long> lastKnown = new ConcurrentHashMap<>();
  private final Map<Path, String> problems = new ConcurrentHashMap<>();

  CgroupFiles(Version version, List<Path> levels, Consumer<String> report) {
    this.version = version;
    this.levels = List.copyOf(levels);
    this.report = report;
  }

  /**
   * Whether a level has files of the controller. The root of version 2 has none, nor has any group
   * of a tree that another version's controller serves.
   */
  static boolean isServed(Version version, List<Path> levels) {
    return levels.stream()
        .flatMap(level -> Stream.of(level.resolve(version.max), level.resolve(version.current)))
        .anyMatch(Files::exists);
  }

  Version version() {
    return version;
  }

  /** The process's own group. */
  Path own() {
    return levels.getFirst();
  }

  /** The lowest {@code max} from here to the mount; {@link MemCgroup#UNLIMITED} if none has one. */
  long limit() {
    return lowest(version.max);
  }

  /** The lowest {@code memory.high}; version 1 has no such thing. */
  long high() {
    return version == Version.V1 ? MemCgroup.UNLIMITED : lowest("memory.high");
  }

  private long lowest(String name) {
    long lowest = MemCgroup.UNLIMITED;
    for (Path level : levels) {
      lowest = Math.min(lowest, read(level.resolve(name)).orElse(MemCgroup.UNLIMITED));
    }
    return lowest;
  }

  /**
   * What the level that is nearest to its limit uses; the own one if there is no limit.
   *
   * @return null if nothing can be read
   */
  ContainerMemory.@Nullable Usage usage() {
    ContainerMemory.Usage nearest = null;
    for (Path level : levels) {
      OptionalLong used = read(level.resolve(version.current));
      if (used.isPresent()) {
        long limit = read(level.resolve(version.max)).orElse(MemCgroup.UNLIMITED);
        ContainerMemory.Usage usage =
            new ContainerMemory.Usage(
                level.toString(), used.getAsLong(), inactiveFileBytes(level), limit);
        if (nearest == null || usage.fraction() > nearest.fraction()) {
          nearest = usage;
        }
      }
    }
    return nearest;
  }

  /** Cache that the system gives up first; 0 if it does not say. */
  private long inactiveFileBytes(Path level) {
    try (Stream<String> lines = Files.lines(level.resolve("memory.stat"))) {
      return lines
          .filter(line -> line.startsWith(version.inactiveFile + " "))
          .mapToLong(line -> Long.parseLong(line.substring(line.indexOf(' ') + 1).strip()))
          .findFirst()
          .orElse(0);
    } catch (IOException | RuntimeException e) {
      return 0; // only makes the usage look higher
    }
  }

  /** What could not be read at the last attempt. */
  List<String> problems() {
    return List.copyOf(problems.values());
  }

  /** Empty if there is no such file and never was, or if it never was readable. */
  private OptionalLong read(Path file) {
    try {
      long value = parse(Files.readString(file));
      lastKnown.put(file, value);
      problems.remove(file);
      return OptionalLong.of(value);
    } catch (IOException | RuntimeException e) {
      Long last = lastKnown.get(file);
      if (last != null || !(e instanceof NoSuchFileException)) {
        String problem =
            "cannot read memory of the container: file="
                + file
                + " used="
                + (last == null ? "none" : last)
                + " cause="
                + e;
        if (problems.put(file, problem) == null) { // once per failure, not per attempt
          report.accept(problem);
        }
      }
      return last == null ? OptionalLong.empty() : OptionalLong.of(last);
    }
  }

  private static long parse(String text) throws IOException {
    String number = text.strip();
    if (number.equals("max")) {
      return MemCgroup.UNLIMITED;
    }
    if (number.isEmpty()
        || number.length() > 20
        || !number.chars().allMatch(c -> c >= '0' && c <= '9')) {
      throw new IOException("neither a number nor \"max\": chars=" + number.length());
    }
    if (number.length() > 18) {
      return MemCgroup.UNLIMITED;
    }
    long value = Long.parseLong(number);
    return value >= NO_LIMIT_FROM ? MemCgroup.UNLIMITED : value;
  }

  @Override
  public String toString() {
    return "cgroup " + version + " at " + own();
  }

  // ---- search

  /**
   * Where the files are.
   *
   * @param files null if there are none
   * @param pressure the file that tells the waiting of the own group; null if there is none
   * @param absence why there are no files, else empty
   */
  record Found(@Nullable CgroupFiles files, @Nullable Path pressure, String absence) {}

  /**
   * A line of mountinfo; {@code top} is the folder of the file system that is seen at the point.
   */
  private record Mount(String top, String point, String type, List<String> options) {}

  /**
   * Looks for the group of this process.
   *
   * @param root where {@code /proc} and {@code /sys} are, {@code /} but in tests
   * @param report told once about each file that cannot be read
   */
  static Found find(Path root, Consumer<String> report) {
    List<String> groups;
    List<Mount> mounts;
    try {
      groups = Files.readAllLines(root.resolve("proc/self/cgroup"));
      mounts = mounts(Files.readAllLines(root.resolve("proc/self/mountinfo")));
    } catch (NoSuchFileException e) {
      return new Found(null, null, "no file " + e.getFile() + ": not Linux, or /proc not mounted");
    } catch (IOException e) {
      return new Found(null, null, "cannot read /proc/self: " + e);
    }
    List<Path> unified = levels(root, groupOf(groups, Version.V2), mounts, Version.V2);
    Path pressure = null;
    for (Path level : unified) {
      if (pressure == null && Files.exists(level.resolve("memory.pressure"))) {
        pressure = level.resolve("memory.pressure");
      }
    }
    // A controller is in one tree only: where version 1 has memory, version 2 does not.
    List<Path> legacy = levels(root, groupOf(groups, Version.V1), mounts, Version.V1);
    if (!legacy.isEmpty()) {
      return new Found(new CgroupFiles(Version.V1, legacy, report), pressure, "");
    }
    if (isServed(Version.V2, unified)) {
      return new Found(new CgroupFiles(Version.V2, unified, report), pressure, "");
    }
    return new Found(
        null,
        pressure,
        unified.isEmpty()
            ? "no cgroup with the memory controller is mounted: groups=" + groups
            : "no memory.max at or above "
                + unified.getFirst()
                + ": the root group, or a tree without the memory controller");
  }

  /** The path of the process in the tree that has the memory controller. */
  private static @Nullable String groupOf(List<String> groups, Version version) {
    for (String line : groups) {
      String[] field = line.split(":", 3); // id:controllers:path
      if (field.length == 3
          && (version == Version.V2
              ? field[0].equals("0") && field[1].isEmpty()
              : List.of(field[1].split(",", -1)).contains("memory"))) {
        return field[2];
      }
    }
    return null;
  }

  private static List<Mount> mounts(List<String> lines) {
    List<Mount> mounts = new ArrayList<>();
    for (String line : lines) {
      // id parent dev top point options [optional ...] - type source superOptions
      int dash = line.indexOf(" - ");
      String[] left = line.substring(0, Math.max(0, dash)).split(" ", -1);
      String[] right = line.substring(Math.max(0, dash)).strip().split(" ", -1);
      if (left.length >= 6 && right.length >= 4) {
        mounts.add(
            new Mount(
                unescaped(left[3]),
                unescaped(left[4]),
                right[1],
                List.of(right[3].split(",", -1))));
      }
    }
    return mounts;
  }

  /** Blanks and the like are written as a backslash and three octal digits. */
  private static String unescaped(String text) {
    return Pattern.compile("\\\\([0-3][0-7]{2})")
        .matcher(text)
        .replaceAll(match ->
            Matcher.quoteReplacement(String.valueOf((char) Integer.parseInt(match.group(1), 8))));
  }

  /** Folders from the group up to the mount; empty if there is no mount with what is wanted. */
  private static List<Path> levels(
      Path root, @Nullable String group, List<Mount> mounts, Version version) {
    if (group == null) {
      return List.of();
    }
    // The mount that shows most of the way to the group is tried first.
    Map<Mount, String> ways = new LinkedHashMap<>();
    mounts.stream()
        .filter(mount ->
            version == Version.V2
                ? mount.type.equals("cgroup2")
                : mount.type.equals("cgroup") && mount.options.contains("memory"))
        .sorted((a, b) -> Integer.compare(shown(b.top, group), shown(a.top, group)))
        .forEach(mount -> ways.put(mount, way(mount.top, group)));
    List<Path> best = List.of();
    for (Map.Entry<Mount, String> entry : ways.entrySet()) {
      Path point = root.resolve(relative(entry.getKey().point));
      List<Path> levels = new ArrayList<>();
      Path folder = point.resolve(relative(entry.getValue())).normalize();
      for (Path level = folder;
          level != null && level.startsWith(point);
          level = level.getParent()) {
        if (!levels.isEmpty() && version == Version.V1 && !countsBelow(level)) {
          break;
        }
        if (Files.isDirectory(level)) {
          levels.add(level);
        }
      }
      if (isServed(version, levels)) {
        return levels;
      }
      if (version == Version.V2 && best.isEmpty()) {
        best = levels; // still good for memory.pressure
      }
    }
    return best;
  }

  /** Whether a group of version 1 limits those below it; kernels before 5.11 let one choose. */
  private static boolean countsBelow(Path level) {
    try {
      return !Files.readString(level.resolve("memory.use_hierarchy")).strip().equals("0");
    } catch (IOException e) {
      return true;
    }
  }

  /** Length of the part of the group's path that the mount's top covers; -1 if it is elsewhere. */
  private static int shown(String top, String group) {
    String prefix = top.equals("/") ? "" : top;
    boolean below = group.equals(prefix) || group.startsWith(prefix + "/");
    return below && !group.contains("/..") ? prefix.length() : -1;
  }

  /**
   * From the mount point to the group. If the path means nothing below this mount, as in a
   * container that sees the path of its host, the mount point itself is the nearest that can be
   * seen.
   */
  private static String way(String top, String group) {
    int length = shown(top, group);
    return length < 0 ? "" : group.substring(length);
  }

  private static String relative(String absolute) {
    return absolute.startsWith("/") ? absolute.substring(1) : absolute;
  }
}
