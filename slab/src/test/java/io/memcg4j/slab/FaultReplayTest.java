package io.memcg4j.slab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryLimitException;
import io.memcg4j.objcg.Scope;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * One recorded sequence of operations of every kind, run again and again with a failure at its
 * first, second, third, ... allocation: each time usage is afterwards what it was before, what was
 * live keeps its contents, and nothing is lost.
 */
final class FaultReplayTest {
  private static final int NR_EVENTS = 160;
  private static final int NR_IDS = 20;
  private static final Set<FaultKind> ALLOCATIONS =
      EnumSet.of(FaultKind.SLAB, FaultKind.VMALLOC, FaultKind.PERCPU);

  private enum Kind {
    SMALL(4000),
    LARGE(200_000),
    AREA(300_000),
    PERCPU(512),
    CONFINED(3000),
    SHARED(3000);

    final int maxBytes;

    Kind(int maxBytes) {
      this.maxBytes = maxBytes;
    }
  }

  /** What the event at an id is: allocates if the id is free, else reallocates or frees. */
  private record Event(int id, Kind kind, int nrBytes, boolean frees, boolean mayFail) {}

  private static List<Event> record(long seed) {
    Random random = new Random(seed);
    List<Event> events = new ArrayList<>();
    for (int i = 0; i < NR_EVENTS; i++) {
      Kind kind = Kind.values()[random.nextInt(Kind.values().length)];
      int nrBytes = 1 + random.nextInt(kind.maxBytes);
      events.add(
          new Event(
              random.nextInt(NR_IDS), kind, nrBytes, random.nextBoolean(), random.nextBoolean()));
    }
    return events;
  }

  /** What is live at an id. */
  private static final class Live {
    final Kind kind;
    final int pattern;
    long address;
    int nrBytes;
    AccountedArena arena;
    MemorySegment segment = MemorySegment.NULL;

    Live(Kind kind, int pattern, AccountedArena arena) {
      this.kind = kind;
      this.pattern = pattern;
      this.arena = arena;
    }
  }

  /** One run of a sequence on an allocator. */
  private static final class Run {
    private final Kmalloc kmalloc;
    private final Kmalloc.Bound bound;
    private final AccountedArena unused;
    private final @Nullable Live[] live = new @Nullable Live[NR_IDS];
    private int nrRefused;

    Run(Kmalloc kmalloc, Scope scope) {
      this.kmalloc = kmalloc;
      this.bound = kmalloc.bind(scope);
      this.unused = AccountedArena.ofConfined(kmalloc);
    }

    void run(List<Event> events) {
      for (Event event : events) {
        Live at = live[event.id];
        try {
          if (at == null) {
            allocate(event);
          } else if (event.frees || !canGrow(at.kind)) {
            check(at);
            free(event.id);
          } else {
            reallocate(at, event.nrBytes, event.mayFail);
          }
        } catch (MemoryLimitException e) {
          nrRefused++;
        }
        for (Live other : live) {
          check(other);
        }
      }
    }

    private static boolean canGrow(Kind kind) {
      return kind != Kind.PERCPU;
    }

    private void allocate(Event event) {
      Live made = new Live(event.kind, event.id + 1, unused);
      int nrBytes = event.nrBytes;
      switch (event.kind) {
        case SMALL, LARGE ->
            made.address = event.mayFail ? bound.tryAllocate(nrBytes) : bound.allocate(nrBytes);
        case AREA ->
            made.address =
                event.mayFail
                    ? kmalloc.vmalloc().tryAllocate(nrBytes)
                    : kmalloc.vmalloc().allocate(nrBytes);
        case PERCPU ->
            made.address =
                event.mayFail
                    ? kmalloc.percpu().tryAllocate(nrBytes)
                    : kmalloc.percpu().allocate(nrBytes);
        case CONFINED, SHARED -> {
          made.arena =
              event.kind == Kind.CONFINED
                  ? AccountedArena.ofConfined(kmalloc)
                  : AccountedArena.ofShared(kmalloc);
          live[event.id] = made; // stays if it is refused its first segment
          made.segment = made.arena.allocate(nrBytes, 8);
          made.address = made.segment.address();
        }
      }
      if (made.address == 0) {
        nrRefused++;
        return;
      }
      made.nrBytes = nrBytes;
      live[event.id] = made;
      fill(made);
    }

    private void reallocate(Live at, int nrBytes, boolean mayFail) {
      switch (at.kind) {
        case SMALL, LARGE -> {
          long now =
              mayFail
                  ? bound.tryReallocate(at.address, nrBytes)
                  : bound.reallocate(at.address, nrBytes);
          moved(at, now, nrBytes);
        }
        case AREA -> {
          Vmalloc areas = kmalloc.vmalloc();
          long now =
              mayFail
                  ? areas.tryReallocate(at.address, nrBytes)
                  : areas.reallocate(at.address, nrBytes);
          moved(at, now, nrBytes);
        }
        default -> { // one segment more in the arena, which has to leave the first alone
          at.arena.allocate(nrBytes, 8).fill((byte) -1);
        }
      }
    }

    private void moved(Live at, long address, int nrBytes) {
      if (address == 0) {
        nrRefused++;
        return;
      }
      at.address = address;
      at.nrBytes = Math.min(at.nrBytes, nrBytes);
      check(at);
      at.nrBytes = nrBytes;
      fill(at);
    }

    private void free(int id) {
      Live at = Objects.requireNonNull(live[id]);
      live[id] = null;
      switch (at.kind) {
        case SMALL, LARGE -> bound.free(at.address);
        case AREA -> kmalloc.vmalloc().free(at.address);
        case PERCPU -> kmalloc.percpu().free(at.address);
        case CONFINED, SHARED -> at.arena.close();
      }
    }

    private MemorySegment contents(Live at, int slot) {
      return switch (at.kind) {
        case PERCPU ->
            Kmalloc.MEMORY.asSlice(kmalloc.percpu().address(at.address, slot), at.nrBytes);
        case CONFINED, SHARED -> at.segment;
        default -> Kmalloc.MEMORY.asSlice(at.address, at.nrBytes);
      };
    }

    private void fill(Live at) {
      contents(at, 0).fill((byte) at.pattern);
    }

    private void check(@Nullable Live at) {
      if (at != null && at.nrBytes != 0) {
        MemorySegment bytes = contents(at, 0);
        long end = at.nrBytes - 1L;
        assertEquals(at.pattern, bytes.get(ValueLayout.JAVA_BYTE, 0), at.kind.name());
        assertEquals(at.pattern, bytes.get(ValueLayout.JAVA_BYTE, end / 2), at.kind.name());
        assertEquals(at.pattern, bytes.get(ValueLayout.JAVA_BYTE, end), at.kind.name());
      }
    }

    void finish() {
      for (int id = 0; id < NR_IDS; id++) {
        if (live[id] != null) {
          check(live[id]);
          free(id);
        }
      }
      unused.close();
    }
  }

  /** Whether a sequence that fails at its n-th point got so far, and how often it was refused. */
  private record Outcome(boolean fired, int nrRefused) {}

  private static Outcome runWithFault(List<Event> events, long n, Set<FaultKind> kinds) {
    try (Instance instance = Instance.create()) {
      Kmalloc kmalloc = instance.kmalloc;
      MemCgroup group = instance.root.create("tenant");
      long[] survivors = new long[3];
      long usageBefore;
      try (Scope _ = instance.enter(group)) {
        survivors[0] = kmalloc.allocate(100);
        survivors[1] = kmalloc.allocate(20_000);
        survivors[2] = kmalloc.vmalloc().allocate(10_000);
      }
      for (long address : survivors) {
        Instance.fill(address, 100, 99);
      }
      long nrObjects = kmalloc.info().nrObjects();
      usageBefore = instance.drainedUsage(group);
      Outcome outcome;
      try (Scope scope = instance.enter(group);
          FaultInjection.Nth nth = kmalloc.faults().failNth(n, kinds)) {
        Run run = new Run(kmalloc, scope);
        run.run(events);
        outcome = new Outcome(nth.hasFired(), run.nrRefused);
        run.finish();
      }
      kmalloc.shrink(); // shared arenas hold their memory back for a moment
      assertEquals(usageBefore, instance.drainedUsage(group), () -> "usage after n=" + n);
      assertEquals(nrObjects, kmalloc.info().nrObjects(), () -> "objects after n=" + n);
      assertEquals(0, kmalloc.percpu().nrLive(), () -> "per-CPU objects after n=" + n);
      for (long address : survivors) {
        assertEquals(99, Instance.read(address, 0));
        assertEquals(99, Instance.read(address, 99));
      }
      kmalloc.free(survivors[0]);
      kmalloc.free(survivors[1]);
      kmalloc.vmalloc().free(survivors[2]);
      instance.assertNoAreasLeft();
      return outcome;
    }
  }

  @ParameterizedTest
  @CsvSource({"1, SLAB", "2, VMALLOC", "3, PERCPU", "4, CHARGE"})
  void failureAtEveryNth_nothingIsLost(long seed, FaultKind kind) {
    List<Event> events = record(seed);
    Set<FaultKind> kinds = EnumSet.of(kind);
    int n = 1;
    for (; ; n++) {
      Outcome outcome = runWithFault(events, n, kinds);
      if (!outcome.fired) {
        assertEquals(0, outcome.nrRefused, "refused without a fault");
        break;
      }
      // A charge for growth in place that fails may be got over by moving.
      assertTrue(
          outcome.nrRefused > 0 || kind == FaultKind.CHARGE,
          "fault went unnoticed: seed=" + seed + " n=" + n);
    }
    assertTrue(n > 10, "too few allocations: seed=" + seed + " n=" + n);
  }

  @Test
  void failureAtEveryNthAllocationOfAnyKind_nothingIsLost() {
    List<Event> events = record(5);
    int n = 1;
    while (runWithFault(events, n, ALLOCATIONS).fired) {
      n++;
    }
    assertTrue(n > 60, "too few allocations: n=" + n);
  }

  @Test
  void refusedPagesAtEveryNth_nothingIsLost() {
    List<Event> events = record(6);
    int n = 1;
    while (runWithFault(events, n, EnumSet.of(FaultKind.PAGES)).fired) {
      n++;
    }
    assertTrue(n > 5, "too few pages: n=" + n);
  }

  @ParameterizedTest
  @EnumSource(FaultKind.class)
  void failuresAtRandom_nothingIsLost(FaultKind kind) {
    int nrRefused = 0;
    for (long seed = 10; seed < 15; seed++) {
      List<Event> events = record(seed);
      try (Instance instance = Instance.create()) {
        MemCgroup group = instance.root.create("tenant");
        instance.kmalloc.faults().set(FaultSettings.of(kind).withProbability(30).withSeed(seed));
        try (Scope scope = instance.enter(group)) {
          Run run = new Run(instance.kmalloc, scope);
          run.run(events);
          nrRefused += run.nrRefused;
          run.finish();
        }
        instance.kmalloc.shrink();
        assertEquals(0, instance.drainedUsage(group), "usage left: seed=" + seed);
        assertEquals(0, instance.kmalloc.percpu().nrLive(), "seed=" + seed);
        instance.assertNoAreasLeft();
      }
    }
    assertTrue(nrRefused > 10 || kind == FaultKind.PAGES, "refused: " + nrRefused);
  }
}
