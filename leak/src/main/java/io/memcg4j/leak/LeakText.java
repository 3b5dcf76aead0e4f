package io.memcg4j.leak;

import io.memcg4j.slab.LiveBlock;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** kmemleak's text, with the tenant and the cache. */
final class LeakText {
  private static final double NANOS_PER_SECOND = 1e9;

  private LeakText() {}

  /** One block, as the kmemleak file lists it. */
  static void append(LeakSuspect suspect, StringBuilder text) {
    text.append(
        String.format(
            Locale.ROOT,
            "unreferenced object 0x%016x (size %d):%n",
            suspect.address(),
            suspect.nrBytes()));
    text.append(
        String.format(
            Locale.ROOT,
            "  comm \"%s\", pid %d (age %s%.3fs)%n",
            suspect.comm(),
            suspect.pid(),
            suspect.isAgeExact() ? "" : "at least ",
            suspect.ageNanos() / NANOS_PER_SECOND));
    text.append(
        String.format(
            Locale.ROOT,
            "  cgroup \"%s\"%s cache %s%n",
            suspect.cgroup(),
            suspect.removedCgroup().isEmpty()
                ? ""
                : " inherited from \"" + suspect.removedCgroup() + "\"",
            suspect.cache()));
    if (!suspect.isRootCause()) {
      text.append(
          String.format(Locale.ROOT, "  held by leaked object 0x%016x%n", suspect.heldBy()));
    }
    if (!suspect.hexDump().isEmpty()) {
      text.append(
          String.format(
              Locale.ROOT,
              "  hex dump (first %d bytes):%n",
              LeakSuspect.nrBytesOf(suspect.hexDump())));
      text.append(suspect.hexDump());
    }
    text.append(String.format(Locale.ROOT, "  backtrace (crc %x):%n", suspect.checksum()));
    for (StackTraceElement frame : suspect.frames()) {
      text.append("    ").append(frame).append(System.lineSeparator());
    }
  }

  /** What is known of a block that need not be a suspect. */
  static String dump(
      LiveBlock block, int minCount, @Nullable Suspect suspect, List<StackTraceElement> frames) {
    int comma = block.thread().lastIndexOf(',');
    StringBuilder text = new StringBuilder();
    text.append(
        String.format(
            Locale.ROOT,
            "Object 0x%016x (size %d):%n  comm \"%s\", pid %s%n  cgroup \"%s\" cache %s%n"
                + "  min_count = %d%n  reported = %b%n  checksum = %s%n  backtrace:%n",
            block.address(),
            block.nrBytes(),
            block.thread().substring(0, Math.max(0, comma)),
            comma < 0 ? "0" : block.thread().substring(comma + 1),
            block.owner() == null ? "" : block.owner().group().path(),
            block.cache(),
            minCount,
            suspect != null && suspect.isReported(),
            suspect == null ? "none" : Integer.toHexString(suspect.checksum())));
    for (StackTraceElement frame : frames) {
      text.append("    ").append(frame).append(System.lineSeparator());
    }
    return text.toString();
  }

  /** All blocks. */
  static String list(List<LeakSuspect> suspects) {
    StringBuilder text = new StringBuilder();
    suspects.forEach(suspect -> append(suspect, text));
    return text.toString();
  }

  /** The first block of each call site, how many more there are, and the totals. */
  static String summary(LeakReport report) {
    StringBuilder text = new StringBuilder();
    for (LeakGroup group : report.groups()) {
      append(group.first(), text);
      int nrMore = group.suspects().size() - 1;
      if (nrMore > 0) {
        text.append(
            String.format(
                Locale.ROOT,
                "  ... and %d more object(s) with the same backtrace, %d bytes in all%n",
                nrMore,
                group.nrBytes()));
      }
      if (group.nrHeld() > 0) {
        text.append(
            String.format(
                Locale.ROOT,
                "  holds %d more leaked object(s), %d bytes%n",
                group.nrHeld(),
                group.heldBytes()));
      }
    }
    Map<String, Long> totals = report.bytesByCgroup();
    totals.forEach((cgroup, nrBytes) ->
        text.append(
            String.format(Locale.ROOT, "cgroup \"%s\": %d bytes leaked%n", cgroup, nrBytes)));
    return text.append(
            String.format(
                Locale.ROOT,
                "SUMMARY: %d leaks, %d bytes in %d cgroups%n",
                report.suspects().size(),
                report.nrBytes(),
                totals.size()))
        .toString();
  }
}
