package io.memcg4j.soak;

import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.nio.file.StandardOpenOption.CREATE;
import static java.nio.file.StandardOpenOption.DELETE_ON_CLOSE;
import static java.nio.file.StandardOpenOption.READ;
import static java.nio.file.StandardOpenOption.WRITE;

import io.memcg4j.leak.LeakReport;
import io.memcg4j.leak.LeakSuspect;
import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.slab.Kmalloc;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Leak scans beside everything else: what is planted is found, nothing else is reported, and memory
 * that others unmap while it is read does no harm. Addresses of planted blocks are kept
 * complemented, as the Java heap is a root.
 */
final class Scans {
  private static final int MOST_SCANS_TO_FIND = 8;
  private static final int FOREIGN_BYTES = 1 << 20;
  private static final long PAUSE_MILLIS = 2500;

  private final Subject subject;
  private final Failure failure;
  private final MemCgroup group;
  private final ObjCgroup handle;
  private final List<Planted> planted = new ArrayList<>();
  private final Thread thread;
  private final Thread unmapper;
  final AtomicInteger nrScans = new AtomicInteger();

  private static final class Planted {
    final long complement;
    final long nrBytes;
    int nrScansSince;

    Planted(long complement, long nrBytes) {
      this.complement = complement;
      this.nrBytes = nrBytes;
    }
  }

  Scans(Subject subject, Failure failure, SplittableRandom random) {
    this.subject = subject;
    this.failure = failure;
    group = subject.root.create("planted");
    handle = ObjCgroup.of(group);
    SplittableRandom mine = random.split();
    SplittableRandom other = random.split();
    thread = Thread.ofPlatform().name("soak-scans").unstarted(() -> run(mine));
    unmapper = Thread.ofPlatform().name("soak-unmaps").unstarted(() -> unmap(other));
  }

  void start() {
    thread.start();
    unmapper.start();
  }

  private void run(SplittableRandom random) {
    try {
      while (!failure.isOver()) {
        plant(random);
        for (int i = 0; i < PAUSE_MILLIS / 50 && !failure.isOver(); i++) {
          Tenant.sleep(50);
        }
        judge(subject.leaks.scan());
      }
    } catch (Throwable e) {
      failure.set("leak scan", e);
    }
  }

  private void plant(SplittableRandom random) {
    long nrBytes = 8L + random.nextInt(random.nextBoolean() ? 200 : 20_000);
    try (Scope _ = handle.enter()) {
      long address = subject.kmalloc.tryAllocateZeroed(nrBytes);
      if (address != Kmalloc.NULL) {
        planted.add(new Planted(~address, nrBytes));
        subject.tally.injected(Injection.LEAK_PLANTED);
      }
    }
  }

  void judge(LeakReport report) {
    nrScans.incrementAndGet();
    SoakChecks.require(subject.leaks.isOn(), "the scanner turned itself off");
    Set<Long> known = new TreeSet<>();
    planted.forEach(block -> known.add(~block.complement));
    try {
      SoakChecks.noFalseReport(report, known);
    } catch (SoakViolation e) {
      report.suspects().forEach(suspect -> e.addSuppressed(new SoakViolation(whose(suspect))));
      throw e;
    }
    Set<Long> reported = new TreeSet<>();
    report.suspects().forEach(suspect -> reported.add(suspect.address()));
    for (Iterator<Planted> blocks = planted.iterator(); blocks.hasNext(); ) {
      Planted block = blocks.next();
      block.nrScansSince++;
      if (reported.contains(~block.complement)) {
        subject.tally.survived(Injection.LEAK_PLANTED);
        subject.kmalloc.free(~block.complement);
        blocks.remove();
      } else {
        SoakChecks.found(block.nrBytes + " bytes", block.nrScansSince, MOST_SCANS_TO_FIND);
      }
    }
  }

  /** What the model knows of a block that was reported. */
  private String whose(LeakSuspect suspect) {
    StringBuilder text = new StringBuilder("in the model as:");
    subject.tenants.forEach(tenant ->
        tenant.blocks.stream()
            .filter(block ->
                block.address() >= suspect.address()
                    && block.address() < suspect.address() + suspect.nrBytes())
            .forEach(text::append));
    return text.append(" now allocated: ")
        .append(subject.kmalloc.tracking().find(suspect.address()))
        .toString();
  }

  /**
   * Memory of others comes, is registered with the one pointer to a block in it, and is unmapped
   * while it is still registered.
   */
  private void unmap(SplittableRandom random) {
    try {
      Path file = Files.createTempFile("memcg4j-soak", ".bin");
      try (FileChannel channel = FileChannel.open(file, CREATE, READ, WRITE, DELETE_ON_CLOSE)) {
        while (!failure.isOver()) {
          unmapOnce(channel, random);
        }
      }
    } catch (Throwable e) {
      failure.set("unmapping", e);
    }
  }

  private void unmapOnce(FileChannel channel, SplittableRandom random) throws IOException {
    long address;
    Arena arena = Arena.ofShared();
    try {
      MemorySegment mapped = channel.map(MapMode.READ_WRITE, 0, FOREIGN_BYTES, arena);
      address = mapped.address();
      try (Scope _ = handle.enter()) {
        mapped.set(JAVA_LONG, 4096, subject.kmalloc.tryAllocate(100));
      }
      subject.leaks.registerRoot(address, FOREIGN_BYTES, "foreign");
      subject.tally.injected(Injection.FOREIGN_UNMAPPED);
      Tenant.sleep(random.nextInt(500));
      long block = mapped.get(JAVA_LONG, 4096);
      if (block != Kmalloc.NULL) {
        subject.kmalloc.free(block);
      }
      mapped.set(JAVA_LONG, 4096, 0);
    } finally {
      arena.close();
    }
    Tenant.sleep(random.nextInt(500)); // the scanner may read it meanwhile, and must not mind
    subject.leaks.unregister(address);
    subject.tally.survived(Injection.FOREIGN_UNMAPPED);
  }

  /** Once it is over: what was planted last is found as well. */
  void end() throws InterruptedException {
    for (Thread each : List.of(thread, unmapper)) {
      each.join(TimeUnit.SECONDS.toMillis(60));
      SoakChecks.require(!each.isAlive(), "thread is stuck: %s", each);
    }
    while (!planted.isEmpty()) {
      Tenant.sleep((int) Subject.MIN_AGE.toMillis());
      judge(subject.leaks.scan());
    }
    group.drain();
    SoakChecks.usage(group.path(), group.usage(), 0, 0);
    group.remove();
  }
}
