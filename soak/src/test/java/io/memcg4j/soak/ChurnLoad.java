package io.memcg4j.soak;

import io.memcg4j.leak.ScanProgress;
import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.slab.Kmalloc;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.Consumer;

/** Threads that move pointers while scans run, as much as a scan can bear. */
final class ChurnLoad implements Consumer<ScanProgress> {
  /*
   * Within     a scan looks four times: a pass, at what is young, and both again. Pointers that go to new
   * reach      holders are moved in three of the looks, and in between; they rest in one look at what is
   *            young, a random one of the two. All of them are moved at the begin of each pass, between
   *            its snapshot and its roots, so a pass never knows the holders. Pointers that go from one
   *            old holder to another are moved in the first pass, and rest in the second. So each block
   *            is in sight of at least one look, whatever the threads' speed.
   * Locks      a gate stands around each move; it is closed by the scan's thread.
   */
  private static final int NR_YOUNG = 2;
  private static final int SECONDS_OF_A_MOVE = 30;
  private static final int MAX_RENEWING_MILLIS = 20;
  private static final int MAX_SHIFTING_MILLIS = 3;

  private final Failure failure;
  private final MemCgroup group;
  private final ObjCgroup handle;
  private final SplittableRandom random;
  private final Gate renewing = new Gate();
  private final Gate shifting = new Gate();
  private final List<ChurnMover> renewers;
  private final List<ChurnMover> shifters;
  private final ChurnInFlight inFlight;
  private final List<ChurnBlocks> all = new ArrayList<>();
  private final List<Thread> threads = new ArrayList<>();
  private final LongAdder nrMoves = new LongAdder();

  /** Which look at what is young they rest in; of the scan's thread. */
  private boolean firstIsQuiet;

  ChurnLoad(MemCgroup root, Kmalloc kmalloc, Failure failure, SplittableRandom random) {
    this.failure = failure;
    this.random = random;
    group = root.create("movers");
    handle = ObjCgroup.of(group);
    ChurnBlocks.Heap slabs = ChurnBlocks.Heap.slabs(kmalloc);
    ChurnBlocks.Heap areas = ChurnBlocks.Heap.areas(kmalloc);
    try (Scope _ = handle.enter()) {
      renewers =
          List.of(
              new ChurnMover.Copied(slabs, blocks(slabs, 2048), 64),
              new ChurnMover.Copied(slabs, blocks(slabs, 2048), 1),
              new ChurnMover.Copied(areas, blocks(slabs, 2048), 4),
              new ChurnMover.Copied(slabs, blocks(areas, 32), 4),
              new ChurnMover.Rehashed(slabs, blocks(slabs, 1024)),
              new ChurnMover.Replaced(slabs, blocks(slabs, 1024)));
      shifters =
          List.of(
              new ChurnMover.Spliced(slabs, blocks(slabs, 512)),
              new ChurnMover.Shuttled(slabs, areas, blocks(slabs, 512)));
      inFlight = new ChurnInFlight(slabs, blocks(slabs, 64));
    }
    renewers.forEach(mover -> addThread(mover, renewing, MAX_RENEWING_MILLIS));
    shifters.forEach(mover -> addThread(mover, shifting, MAX_SHIFTING_MILLIS));
    for (int i = 0; i < NR_YOUNG; i++) {
      ChurnYoung young = new ChurnYoung(root, kmalloc, "young-" + i);
      SplittableRandom mine = random.split();
      addThread(() -> young.run(mine, failure));
    }
  }

  private ChurnBlocks blocks(ChurnBlocks.Heap heap, int nrBlocks) {
    ChurnBlocks blocks = new ChurnBlocks(heap, nrBlocks);
    all.add(blocks);
    return blocks;
  }

  private void addThread(ChurnMover mover, Gate gate, int maxMillis) {
    SplittableRandom mine = random.split();
    addThread(() -> {
      while (!failure.isOver()) {
        gate.enter();
        try {
          move(mover, mine);
          nrMoves.increment();
        } finally {
          gate.exit();
        }
        Tenant.sleep(mine.nextInt(maxMillis));
      }
    });
  }

  private void addThread(Runnable body) {
    threads.add(
        Thread.ofPlatform()
            .name("churn-" + threads.size())
            .unstarted(() -> {
              try {
                body.run();
              } catch (Throwable e) {
                failure.set("churn", e);
              }
            }));
  }

  private void move(ChurnMover mover, SplittableRandom mine) {
    try (Scope _ = handle.enter()) {
      mover.move(mine);
    }
  }

  void start() {
    threads.forEach(Thread::start);
  }

  /** Of the threads, without those that the scan's thread makes. */
  long nrMoves() {
    return nrMoves.sum();
  }

  /** A scan's thread says how far it is, and goes on when this returns. */
  @Override
  public void accept(ScanProgress progress) {
    try {
      step(progress);
    } catch (RuntimeException e) { // which the scan would ignore
      failure.set("step of a scan", e);
    }
  }

  private void step(ScanProgress progress) {
    boolean isFirst = progress.pass() == 1;
    switch (progress.step()) {
      case ROOTS -> {
        close(renewing);
        if (isFirst) {
          firstIsQuiet = random.nextBoolean();
          inFlight.take();
        } else {
          giveBack();
        }
        renewers.forEach(mover -> move(mover, random));
        renewing.open();
      }
      case MARK -> {
        if (!isFirst && !firstIsQuiet) {
          close(renewing);
        }
      }
      case COMPARE -> {
        close(shifting);
        if (firstIsQuiet) {
          close(renewing);
        }
      }
      case DONE -> {
        giveBack();
        open();
      }
    }
  }

  private void giveBack() {
    try (Scope _ = handle.enter()) {
      inFlight.giveBack();
    }
  }

  private static void close(Gate gate) {
    try {
      SoakChecks.require(gate.close(SECONDS_OF_A_MOVE), "a move does not end");
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  private void open() {
    renewing.open();
    shifting.open();
  }

  /** Stops the threads. */
  void stop() throws InterruptedException {
    failure.stop();
    open();
    for (Thread thread : threads) {
      thread.join(TimeUnit.SECONDS.toMillis(SECONDS_OF_A_MOVE));
      SoakChecks.require(!thread.isAlive(), "thread is stuck: %s", thread);
    }
  }

  /** Frees all blocks, each of which is still held by what holds it. */
  void free() {
    renewers.forEach(ChurnMover::free);
    shifters.forEach(ChurnMover::free);
    inFlight.free();
    all.forEach(blocks -> SoakChecks.require(blocks.isEmpty(), "blocks lost"));
    group.drain();
    SoakChecks.usage(group.path(), group.usage(), 0, 0);
    group.remove();
  }
}
