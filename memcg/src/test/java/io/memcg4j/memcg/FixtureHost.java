package io.memcg4j.memcg;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** A folder that looks like the root of a host, a clock, and no thread that polls. */
final class FixtureHost {
  final Path root;
  final Map<String, String> env = new HashMap<>();
  final List<String> reports = new ArrayList<>();
  final List<Thread> threads = new ArrayList<>();
  long heapMax = 100;
  long nanos = Long.MAX_VALUE - 3;

  FixtureHost(Path root) {
    this.root = root;
  }

  /** A host with version 2 only. */
  void v2(String group) {
    file("proc/self/cgroup", "0::" + group + "\n");
    file(
        "proc/self/mountinfo",
        """
        23 1 8:1 / / rw - ext4 /dev/sda rw
        30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate
        """);
  }

  /** A host with version 1 only. */
  void v1(String group) {
    file("proc/self/cgroup", "3:cpu:/x\n2:memory:" + group + "\n1:name=systemd:/\n");
    file(
        "proc/self/mountinfo",
        """
        31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw
        32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu
        35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
        """);
  }

  void file(String path, String text) {
    try {
      Path file = root.resolve(path);
      Files.createDirectories(file.getParent());
      Files.writeString(file, text);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  void delete(String path) {
    try {
      Files.delete(root.resolve(path));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  ContainerMemory detect() {
    return ContainerMemory.detect(
        new ContainerHost(
            root,
            env,
            () -> heapMax,
            () -> nanos,
            reports::add,
            work -> {
              threads.add(new Thread(() -> {}));
              return threads.getLast();
            }));
  }
}
