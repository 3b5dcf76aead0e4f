package io.memcg4j.objcg;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.TestAllocator.Live;
import io.memcg4j.percpu.CpuSlot;
import io.memcg4j.percpu.CpuSlots;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * A thread is moved from group to group while it charges: every charge goes to the group it is in
 * or to one it is just being moved to, and none is lost.
 */
class ThreadMoveTest {
  private static final int NR_MOVES = 1_000_000;
  private static final int MOVES_PER_WAIT = 5_000;
  private static final int NR_GROUPS = 3_000;

  private final MemCgroup root = MemCgroup.root(CpuSlots.create(2, 1));
  private final ObjCgroups registry = ObjCgroups.of(root);
  private final TestAllocator allocator = new TestAllocator(root);
  private final List<ObjCgroup> handles = new ArrayList<>();

  /** Moves asked for, and moves whose call has returned: the target is the number modulo groups. */
  private volatile int nrStarted;

  private volatile int nrReturned;
  private volatile int nrCharges;
  private volatile boolean ended;

  private ObjCgroup target(int move) {
    return handles.get(move % handles.size());
  }

  private void moveAMillionTimes(Scope scope) {
    for (int move = 1; move <= NR_MOVES; move++) {
      nrStarted = move;
      scope.moveTo(target(move));
      nrReturned = move;
      if (move % MOVES_PER_WAIT == 0) {
        for (int seen = nrCharges; nrCharges == seen && !ended; ) {
          Thread.yield();
        }
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"true, true, 1", "true, false, 2", "false, false, 3"})
  void moveTo_aMillionTimes_oldOrNewGroupPays(boolean holdsSlot, boolean inAdvance, long seed)
      throws Exception {
    for (int i = 0; i < NR_GROUPS; i++) {
      handles.add(ObjCgroup.of(root.create("g" + i)));
    }
    List<CpuSlot> held = new ArrayList<>();
    for (CpuSlot slot = null; !holdsSlot && (slot = root.slots().tryClaim(0)) != null; ) {
      held.add(slot);
    }
    Random random = new Random(seed);
    Deque<Live> live = new ArrayDeque<>();
    int nrDone = 0;
    int nrChecked = 0;
    try (ExecutorService other = Executors.newSingleThreadExecutor();
        AutoCloseable end = () -> ended = true;
        Scope scope = target(0).enter()) {
      assertEquals(holdsSlot, scope.frame().holdsSlot());
      Future<?> mover = other.submit(() -> moveAMillionTimes(scope));
      while (!mover.isDone()) {
        int from = nrReturned;
        long nrBytes = 1L + random.nextInt(random.nextInt(10) == 0 ? 9_000 : 300);
        Live object =
            inAdvance || !holdsSlot
                ? allocator.allocate(nrBytes)
                : allocator.tryAllocateExactly(scope.frame(), nrBytes);
        int to = nrStarted;
        live.add(object);
        nrCharges = ++nrDone;
        if (to - from < NR_GROUPS) {
          nrChecked++;
          boolean known = false;
          for (int move = from; move <= to && !known; move++) {
            known = target(move) == object.owner();
          }
          String where = "seed=" + seed + " moves=" + from + ".." + to;
          assertTrue(known, where + " payer=" + object.owner());
        }
        if (live.size() > 2_000 || random.nextInt(3) == 0) {
          allocator.free(live.remove());
        }
      }
      mover.get();
      live.add(allocator.allocate(8));
      assertSame(target(NR_MOVES), live.getLast().owner(), "the last move");
      assertSame(target(NR_MOVES), scope.current());
    }
    assertTrue(nrChecked > 0);
    System.err.printf("thread moves: charges=%d, in a known window=%d%n", nrCharges, nrChecked);
    held.forEach(CpuSlot::release);
    checkSums(live, seed);
    live.forEach(allocator::free);
    root.drain();
    assertEquals(0, root.usage());
    handles.forEach(handle -> handle.group().remove());
    assertEquals(1, registry.nrHandles());
    assertEquals(0, registry.nrStocks());
  }

  private void checkSums(Iterable<Live> live, long seed) {
    root.drain();
    Map<ObjCgroup, Long> sums = new HashMap<>();
    live.forEach(object -> sums.merge(object.owner(), object.nrBytes(), Long::sum));
    long total = 0;
    for (ObjCgroup handle : handles) {
      long expected = TestAllocator.pageBytes(sums.getOrDefault(handle, 0L));
      assertEquals(expected, handle.group().usage(), "seed=" + seed + " " + handle);
      total += expected;
    }
    assertEquals(total, root.usage());
  }

  /** Outer and inner scope are moved at the same time; each keeps to its own targets. */
  @Test
  void moveTo_outerAndInnerScope_eachKeepsItsOwnTargets() throws Exception {
    for (int i = 0; i < 40; i++) {
      handles.add(ObjCgroup.of(root.create("g" + i)));
    }
    List<ObjCgroup> forOuter = handles.subList(0, 20);
    List<ObjCgroup> forInner = handles.subList(20, 40);
    Scope[] inner = new Scope[1];
    try (ExecutorService other = Executors.newSingleThreadExecutor();
        Scope outer = forOuter.get(0).enter()) {
      int last = 0;
      for (int round = 0; round < 20_000; round++) {
        int target = round % 20;
        inner[0] = forInner.get(0).enter();
        Future<?> moves =
            other.submit(() -> {
              outer.moveTo(forOuter.get(target));
              inner[0].moveTo(forInner.get(target));
            });
        Live first = allocator.allocate(64);
        assertTrue(forInner.contains(first.owner()));
        inner[0].close();
        Live second = allocator.allocate(64);
        assertTrue(
            second.owner() == forOuter.get(last) || second.owner() == forOuter.get(target),
            "round=" + round + " payer=" + second.owner());
        moves.get();
        Live third = allocator.allocate(64);
        assertSame(forOuter.get(target), third.owner(), "round=" + round);
        allocator.free(first);
        allocator.free(second);
        allocator.free(third);
        last = target;
      }
      assertFalse(outer.toString().isEmpty());
    }
    root.drain();
    assertEquals(0, root.usage());
  }
}
