package io.memcg4j.cli;

import io.memcg4j.memcg.ContainerMemory;
import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.slab.Kmalloc;
import java.io.BufferedReader;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Checks of the JVM that doctor itself runs in, of the system and the container. */
final class SystemChecks {
  private static final int MIN_JAVA = 25;

  /** Areas take up to two mappings each; the kernel's own default. */
  private static final long USUAL_MAPPINGS = 65_530;

  private SystemChecks() {}

  static List<Finding> run() {
    List<Finding> findings = new ArrayList<>();
    findings.add(java(Runtime.version().feature()));
    findings.add(nativeAccess(SystemChecks.class.getModule().isNativeAccessEnabled()));
    findings.add(system(System.getProperty("os.name", ""), System.getProperty("os.arch", "")));
    findings.add(allocation());
    mappings(Path.of("/proc/sys/vm/max_map_count")).ifPresent(findings::add);
    findings.addAll(container(ContainerMemory.detect()));
    return findings;
  }

  static Finding java(int feature) {
    String found =
        "Java " + feature + ", " + System.getProperty("java.vm.name") + " " + Runtime.version();
    return feature >= MIN_JAVA
        ? Finding.ok("jdk", found)
        : Finding.fail(
            "jdk", found, "install a JDK " + MIN_JAVA + " or newer, set JAVA_HOME to it");
  }

  static Finding nativeAccess(boolean isEnabled) {
    return isEnabled
        ? Finding.ok("native access", "enabled here")
        : Finding.warn(
            "native access",
            "not enabled: the JVM warns now, a later one refuses",
            "start it with --enable-native-access=ALL-UNNAMED, on the module path with"
                + " --enable-native-access=io.memcg4j.percpu,io.memcg4j.slab,io.memcg4j.leak");
  }

  static Finding system(String os, String arch) {
    return os.equals("Linux")
        ? Finding.ok("system", os + " " + arch)
        : Finding.warn(
            "system",
            os + " " + arch,
            "works, with 256 MiB taken at once and given back at close; memory goes back to the"
                + " system on Linux only");
  }

  /** The real thing: reserves the range, takes an object, writes to it. */
  private static Finding allocation() {
    try (Kmalloc kmalloc = Kmalloc.create(MemCgroup.root())) {
      long address = kmalloc.allocate(Long.BYTES);
      Kmalloc.MEMORY.set(ValueLayout.JAVA_LONG, address, 42L);
      long read = Kmalloc.MEMORY.get(ValueLayout.JAVA_LONG, address);
      kmalloc.free(address);
      return read == 42
          ? Finding.ok(
              "allocation", "range of " + Sizes.human(kmalloc.info().rangeBytes()) + " reserved")
          : Finding.fail("allocation", "memory does not keep what is written", "report this");
    } catch (RuntimeException | LinkageError e) {
      return Finding.fail(
          "allocation",
          String.valueOf(e),
          "allow address space (ulimit -v unlimited), or take a smaller one:"
              + " Kmalloc.builder(root).rangeBytes(...)");
    }
  }

  static Optional<Finding> mappings(Path file) {
    // A reader: files of /proc/sys have to be read at once, which Files.readString does not do.
    try (BufferedReader reader = Files.newBufferedReader(file)) {
      long most = Long.parseLong(String.valueOf(reader.readLine()).strip());
      return Optional.of(
          most >= USUAL_MAPPINGS
              ? Finding.ok("mappings", "vm.max_map_count=" + most)
              : Finding.warn(
                  "mappings",
                  "vm.max_map_count=" + most + ": fewer areas of vmalloc, and guards",
                  "sysctl -w vm.max_map_count=" + USUAL_MAPPINGS));
    } catch (IOException | NumberFormatException e) {
      return Optional.empty(); // not Linux, or hidden
    }
  }

  static List<Finding> container(ContainerMemory container) {
    List<Finding> findings = new ArrayList<>();
    Optional<String> absence = container.absence();
    if (absence.isPresent()) {
      findings.add(Finding.ok("container", "no limit: " + absence.get()));
      return findings;
    }
    container
        .problems()
        .forEach(problem ->
            findings.add(
                Finding.warn("container", problem, "limits that cannot be read are not followed")));
    ContainerMemory.Budget budget = container.budget();
    if (budget.containerLimit() == ContainerMemory.UNLIMITED) {
      findings.add(Finding.ok("container", "no limit; " + container));
    } else if (budget.rootMax() == 0) {
      findings.add(
          Finding.warn(
              "container",
              "limit " + Sizes.human(budget.containerLimit()) + ", the heap may take all of it",
              "start JVMs with a smaller -Xmx: what it leaves is for off-heap memory"));
    } else {
      findings.add(
          Finding.ok(
              "container",
              "limit "
                  + Sizes.human(budget.containerLimit())
                  + "; beside a heap of "
                  + Sizes.human(budget.heapMax())
                  + " a root group may have "
                  + Sizes.human(budget.rootMax())));
    }
    return findings;
  }
}
