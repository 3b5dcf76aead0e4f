package io.memcg4j.leak;

import java.util.List;
import java.util.stream.Collectors;
import jdk.jfr.Category;
import jdk.jfr.DataAmount;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;
import jdk.jfr.Timespan;

/** What a recording of the JVM is told of scans. */
final class LeakEvents {
  private LeakEvents() {}

  /** One scan; its duration is the event's. */
  @Name("memcg4j.LeakScan")
  @Label("Leak Scan")
  @Category("memcg4j")
  @StackTrace(false)
  static final class LeakScan extends Event {
    @Label("Blocks")
    long nrBlocks;

    @Label("Suspects")
    int nrSuspects;

    @Label("New Suspects")
    int nrNew;

    @Label("Leaked Size")
    @DataAmount
    long nrLeakedBytes;

    @Label("Scanned Size")
    @DataAmount
    long nrScannedBytes;

    @Label("Heap Dump Time")
    @Timespan
    long heapDumpNanos;

    @Label("Passes")
    int nrPasses;
  }

  /** One block that is reported. */
  @Name("memcg4j.LeakSuspect")
  @Label("Leak Suspect")
  @Description("A block of off-heap memory that nobody has a pointer to")
  @Category("memcg4j")
  @StackTrace(false)
  static final class Suspect extends Event {
    @Label("Address")
    long address;

    @Label("Size")
    @DataAmount
    long size;

    @Label("Control Group")
    String cgroup = "";

    @Label("Cache")
    String cache = "";

    @Label("Held By")
    long heldBy;

    @Label("Minimum Age")
    @Timespan
    long age;

    @Label("Call Site")
    String callSite = "";
  }

  /** The event of a scan that begins now. */
  static LeakScan begin() {
    LeakScan scan = new LeakScan();
    scan.begin();
    return scan;
  }

  static void commit(LeakScan scan, LeakReport report, List<LeakSuspect> newOnes) {
    scan.nrBlocks = report.nrBlocks();
    scan.nrSuspects = report.suspects().size();
    scan.nrNew = report.nrNew();
    scan.nrLeakedBytes = report.nrBytes();
    scan.nrScannedBytes = report.nrScannedBytes();
    scan.heapDumpNanos = report.heapRoots().dumpNanos();
    scan.nrPasses = report.nrPasses();
    scan.commit();
    if (!new Suspect().isEnabled()) {
      return;
    }
    for (LeakSuspect suspect : newOnes) {
      Suspect event = new Suspect();
      event.address = suspect.address();
      event.size = suspect.nrBytes();
      event.cgroup = suspect.cgroup();
      event.cache = suspect.cache();
      event.heldBy = suspect.heldBy();
      event.age = suspect.ageNanos();
      event.callSite =
          suspect.frames().stream()
              .map(StackTraceElement::toString)
              .collect(Collectors.joining("\n"));
      event.commit();
    }
  }
}
