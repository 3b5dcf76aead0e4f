package io.memcg4j.benchmarks;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.slab.Kmalloc;
import org.jspecify.annotations.Nullable;

/**
 * Replays one trace as one tenant: a group of its own below the root, an allocator of its own on
 * the same tree (so that what it maps is this trace's alone). A first pass checks contents and is
 * not timed; warm-up rounds and the timed rounds follow, each from nothing live to nothing live.
 */
final class Replay {
  /** Rounds before the first timed one: enough for the loop to be compiled by the last compiler. */
  static final int NR_WARMUP_ROUNDS = 10;

  private final MemCgroup root;
  private final ReplayOptions options;
  private final Progress progress;

  Replay(MemCgroup root, ReplayOptions options, Progress progress) {
    this.root = root;
    this.options = options;
    this.progress = progress;
  }

  /** Replays a trace; the tenant's group is removed again. */
  ReplayResult run(Trace trace) {
    MemCgroup group = root.create(trace.name());
    try {
      group.setMax(options.maxBytes());
      try (Kmalloc kmalloc = Kmalloc.create(root)) {
        return run(trace, group, kmalloc);
      }
    } finally {
      group.remove();
    }
  }

  private ReplayResult run(Trace trace, MemCgroup group, Kmalloc kmalloc) {
    ObjCgroup tenant = ObjCgroup.of(group);
    CheckedEvents checked = new CheckedEvents(trace);
    Rounds rounds = new Rounds();
    if (options.threaded()) {
      progress.show(trace.name(), 0, 1);
      new ThreadedEvents(kmalloc, tenant, trace, checked).run();
    }
    try (Scope scope = tenant.enter()) {
      Kmalloc.Bound bound = kmalloc.bind(scope);
      if (!options.threaded()) {
        progress.show(trace.name(), 0, 1);
        checked.run(bound, 0, trace.nrEvents());
      }
      rounds.nrRefused = checked.nrRefused();
      rounds.nrLive = checked.freeAll(bound);
      if (!options.threaded()) {
        rounds.run(bound, trace);
      }
    }
    kmalloc.shrink();
    group.drain();
    return new ReplayResult(
        trace,
        rounds.median(),
        rounds.best(),
        group.peak(),
        kmalloc.info().peakMappedBytes(),
        rounds.nrRefused,
        rounds.nrLive,
        group.usage());
  }

  /** The timed rounds and what the last of them counted. */
  private final class Rounds {
    private double[] nsPerEvent = {};
    private int nrRefused;
    private int nrLive;

    void run(Kmalloc.Bound bound, Trace trace) {
      if (trace.nrEvents() == 0) {
        return;
      }
      int nrRounds = NR_WARMUP_ROUNDS + options.nrRounds();
      long[] addresses = new long[trace.nrIds()];
      nsPerEvent = new double[options.nrRounds()];
      for (int round = 0; round < nrRounds; round++) {
        progress.show(trace.name(), round, nrRounds);
        long start = System.nanoTime();
        nrRefused = TimedEvents.run(bound, trace, addresses);
        long nanos = System.nanoTime() - start;
        nrLive = TimedEvents.freeAll(bound, addresses);
        if (round >= NR_WARMUP_ROUNDS) {
          nsPerEvent[round - NR_WARMUP_ROUNDS] = (double) nanos / trace.nrEvents();
        }
      }
    }

    @Nullable Double median() {
      return nsPerEvent.length == 0 ? null : Statistics.median(nsPerEvent);
    }

    @Nullable Double best() {
      return nsPerEvent.length == 0 ? null : Statistics.min(nsPerEvent);
    }
  }
}
