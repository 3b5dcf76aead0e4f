package io.memcg4j.leak;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

/** When a scan rests, and where it may be cancelled. */
final class PaceTest {
  private static final Pace CANCELLED = new Pace(Pace.MAX_PERCENT, () -> true);

  @Test
  void rest_hasWorkedLongEnough_sleepsAlsoIfInterrupted() {
    AtomicInteger nrLooks = new AtomicInteger();
    Pace pace = new Pace(5, () -> nrLooks.incrementAndGet() < 0);
    long since = System.nanoTime();
    assertEquals(since, pace.rest(since), "not yet");
    long now = System.nanoTime();
    assertTrue(pace.rest(now - 2_000_000) - now >= 38_000_000, "19 times as long");
    nrLooks.set(0);
    Thread.currentThread().interrupt();
    assertTrue(pace.rest(System.nanoTime() - 2_000_000) - now > 0);
    assertTrue(Thread.interrupted(), "kept for the caller");
    assertTrue(nrLooks.get() < 20, () -> "spins: nrLooks=" + nrLooks);
  }

  @Test
  void cancelled_noLongLoopGoesOn() {
    try (FakeHeap heap = new FakeHeap(8);
        Arena arena = Arena.ofConfined()) {
      long range = arena.allocate(1 << 20, 8).address();
      RangeMap ranges = RangeMap.EMPTY.with(range, range + (1 << 20), 1, 0);
      assertThrows(CancellationException.class, () -> ForeignChecksum.of(ranges, 0, CANCELLED));
      List<Scan.Found> found = List.of(new Scan.Found(range, 1 << 20, -1, 0, 0));
      assertThrows(
          CancellationException.class,
          () -> LeakGraph.holders(found, ranges, Marker.Specials.NONE, CANCELLED));
      heap.addSlab(64, 1);
      Marker marker = new Marker(heap.map(), ranges, Marker.Specials.NONE, 1);
      WhiteObjects objects =
          WhiteObjects.stretches(marker, CANCELLED, Remembered.nothing(), true, 1).getFirst();
      assertThrows(CancellationException.class, objects::run);
    }
  }
}
