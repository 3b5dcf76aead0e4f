package io.memcg4j.memcg;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.BiConsumer;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * A tree of groups as the text files of cgroup v2: {@code tenants/a/memory.high}. For consoles,
 * scripts and people who know the names. Any thread.
 */
public final class MemCgroupFs {
  /*
   * Not        that two files that are read one after the other are of one moment.
   * guaranteed
   * Origin     the interface files of cgroup v2; the root has all of them here, as it stands for a
   *            part of a process.
   */
  private record Entry(
      @Nullable Function<MemCgroup, String> reader,
      @Nullable BiConsumer<MemCgroup, String> writer,
      @Nullable BiConsumer<MemCgroup, String> noBlockWriter) {
    static Entry read(Function<MemCgroup, String> reader) {
      return new Entry(reader, null, null);
    }

    static Entry readWrite(
        Function<MemCgroup, String> reader, BiConsumer<MemCgroup, String> writer) {
      return new Entry(reader, writer, writer);
    }
  }

  private static final Map<String, Entry> FILES = files();

  private final MemCgroup root;

  /**
   * The files of a tree.
   *
   * @param root where relative paths begin
   */
  public MemCgroupFs(MemCgroup root) {
    this.root = root;
  }

  private static Map<String, Entry> files() {
    Map<String, Entry> files = new TreeMap<>();
    files.put("memory.current", Entry.read(group -> line(Long.toString(group.usage()))));
    files.put("memory.peak", Entry.read(group -> line(Long.toString(group.peak()))));
    files.put(
        "memory.min",
        Entry.readWrite(
            group -> limit(group.min()),
            (group, text) -> group.setMin(MemorySize.parse("memory.min", text))));
    files.put(
        "memory.low",
        Entry.readWrite(
            group -> limit(group.low()),
            (group, text) -> group.setLow(MemorySize.parse("memory.low", text))));
    files.put(
        "memory.high",
        new Entry(
            group -> limit(group.high()),
            (group, text) -> group.setHigh(MemorySize.parse("memory.high", text)),
            (group, text) -> group.setHighNoBlock(MemorySize.parse("memory.high", text))));
    files.put(
        "memory.max",
        new Entry(
            group -> limit(group.max()),
            (group, text) -> group.setMax(MemorySize.parse("memory.max", text)),
            (group, text) -> group.setMaxNoBlock(MemorySize.parse("memory.max", text))));
    files.put(
        "memory.oom.group",
        Entry.readWrite(
            group -> line(group.isOomGroup() ? "1" : "0"),
            (group, text) -> group.setOomGroup(parseFlag(text))));
    files.put("memory.events", Entry.read(group -> group.events().format()));
    files.put("memory.events.local", Entry.read(group -> group.eventsLocal().format()));
    files.put("memory.stat", Entry.read(group -> group.stat().format()));
    files.put("memory.pressure", Entry.read(group -> line(group.pressure().toString())));
    files.put(
        "memory.reclaim", new Entry(null, MemCgroupFs::writeReclaim, MemCgroupFs::writeReclaim));
    files.put(
        "cgroup.stat",
        Entry.read(group ->
            String.format(
                Locale.ROOT,
                "nr_descendants %d%nnr_dying_descendants %d%n",
                group.nrDescendants(),
                group.nrDyingDescendants())));
    return files;
  }

  private static String line(String text) {
    return text + System.lineSeparator();
  }

  private static String limit(long nrBytes) {
    return line(MemorySize.format(nrBytes));
  }

  private static boolean parseFlag(String text) {
    return switch (text.strip()) {
      case "0" -> false;
      case "1" -> true;
      default -> throw MemorySize.illegal("memory.oom.group", text, "0 or 1");
    };
  }

  private static void writeReclaim(MemCgroup group, String text) {
    long wanted = MemorySize.parseBytes("memory.reclaim", text);
    long nrFreed = group.reclaim(wanted);
    if (nrFreed < wanted) {
      throw new IllegalStateException(
          String.format(
              Locale.ROOT,
              "less was reclaimed than asked for: group=%s askedBytes=%d freedBytes=%d",
              group.path(),
              wanted,
              nrFreed));
    }
  }

  /**
   * What is in a folder.
   *
   * @param path of a group, relative to the root; empty or {@code /} for the root
   * @return the files, sorted, then the child groups, sorted, each with a {@code /} behind it
   * @throws IllegalArgumentException if there is no such group
   */
  public List<String> list(String path) {
    List<String> names = new ArrayList<>(FILES.keySet());
    group(path, path).children().stream()
        .map(child -> child.name() + "/")
        .sorted()
        .forEach(names::add);
    return names;
  }

  /**
   * The text of a file.
   *
   * @param path of a group and a file in it
   * @return as cgroup v2 prints it
   * @throws IllegalArgumentException if there is no such group or file, or it cannot be read
   */
  public String read(String path) {
    Function<MemCgroup, String> reader = entry(path).reader();
    if (reader == null) {
      throw new IllegalArgumentException("file can only be written: path=" + Printable.of(path));
    }
    return reader.apply(groupOf(path));
  }

  /**
   * Writes a file, with what follows from it: a lower limit reclaims before this returns.
   *
   * @param path of a group and a file in it
   * @param text as cgroup v2 takes it; space around it does not matter
   * @throws IllegalArgumentException if there is no such group or file, it cannot be written, or
   *     the text is not legal
   * @throws IllegalStateException if {@code memory.reclaim} freed less than it was asked for
   */
  public void write(String path, String text) {
    write(path, entry(path).writer(), text);
  }

  /**
   * As {@link #write}, but a limit only takes effect: nothing is reclaimed, no policy asked.
   *
   * @param path of a group and a file in it
   * @param text as there
   * @throws IllegalArgumentException as there
   */
  public void writeNoBlock(String path, String text) {
    write(path, entry(path).noBlockWriter(), text);
  }

  private void write(String path, @Nullable BiConsumer<MemCgroup, String> writer, String text) {
    if (writer == null) {
      throw new IllegalArgumentException("file can only be read: path=" + Printable.of(path));
    }
    writer.accept(groupOf(path), text);
  }

  private static Entry entry(String path) {
    Entry entry = FILES.get(path.substring(path.lastIndexOf('/') + 1));
    if (entry == null) {
      throw new IllegalArgumentException("no such file: path=" + Printable.of(path));
    }
    return entry;
  }

  private MemCgroup groupOf(String path) {
    return group(path.substring(0, Math.max(0, path.lastIndexOf('/'))), path);
  }

  private MemCgroup group(String path, String asked) {
    String relative = path.startsWith("/") ? path.substring(1) : path;
    String trimmed =
        relative.endsWith("/") ? relative.substring(0, relative.length() - 1) : relative;
    MemCgroup group = trimmed.isEmpty() ? root : root.find(trimmed);
    if (group == null) {
      throw new IllegalArgumentException("no such group: path=" + Printable.of(asked));
    }
    return group;
  }
}
