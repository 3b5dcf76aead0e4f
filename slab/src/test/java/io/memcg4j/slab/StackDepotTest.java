package io.memcg4j.slab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.function.IntSupplier;
import org.junit.jupiter.api.Test;

/** Traces are kept once, within bounds, by any number of threads. */
final class StackDepotTest {
  private final StackDepot depot = StackDepot.create();

  private int here() {
    return depot.capture(0);
  }

  private int callerOfHere() {
    return depot.capture(1);
  }

  /** A different stack for each path: bit i chooses the call at depth i. */
  private static int atPath(StackDepot depot, int path, int depth) {
    if (depth == 0) {
      return depot.capture(0);
    }
    if ((path & 1) == 0) {
      return atPath(depot, path >>> 1, depth - 1);
    }
    int handle = atPath(depot, path >>> 1, depth - 1);
    return handle;
  }

  @Test
  void capture_sameStack_isOneTrace() {
    List<Integer> handles = new ArrayList<>();
    for (int i = 0; i < 100; i++) {
      handles.add(here());
    }
    assertEquals(1, handles.stream().distinct().count(), handles::toString);
    assertEquals(1, depot.nrTraces());
    assertTrue(handles.getFirst() > StackDepot.FULL, handles::toString);
  }

  @Test
  void capture_twoLinesOfOneMethod_areTwoTraces() {
    int first = here();
    int second = here();
    assertNotEquals(first, second);
  }

  /** Two lambdas of one class, called from one place: alike but for the method's name. */
  @Test
  void capture_twoLambdasCalledFromOnePlace_areTwoTraces() {
    List<IntSupplier> twins = List.of(() -> depot.capture(0), () -> depot.capture(0));
    List<Integer> handles = new ArrayList<>();
    for (IntSupplier twin : twins) {
      handles.add(twin.getAsInt());
    }
    assertNotEquals(handles.getFirst(), handles.getLast());
  }

  @Test
  void frames_startAtTheCallerThatWasAskedFor() {
    List<StackTraceElement> all = depot.frames(here());
    assertEquals("here", all.getFirst().getMethodName());
    assertEquals("frames_startAtTheCallerThatWasAskedFor", all.get(1).getMethodName());
    assertEquals(StackDepot.DEFAULT_MAX_FRAMES, all.size());
    assertEquals(
        "frames_startAtTheCallerThatWasAskedFor",
        depot.frames(callerOfHere()).getFirst().getMethodName());
  }

  @Test
  void capture_moreSkippedThanThere_isNone() {
    assertEquals(StackDepot.NONE, depot.capture(100_000));
    assertEquals(List.of(), depot.frames(StackDepot.NONE));
    assertThrows(IllegalArgumentException.class, () -> depot.capture(-1));
  }

  @Test
  void frames_deepStack_keepsTheInnermost() {
    StackDepot shallow = StackDepot.create(10, 3);
    List<StackTraceElement> frames = shallow.frames(atPath(shallow, 0, 50));
    assertEquals(3, frames.size());
    frames.forEach(frame -> assertEquals("atPath", frame.getMethodName()));
  }

  @Test
  void capture_full_givesTheCatchAllAndStillFindsWhatItKnows() {
    StackDepot small = StackDepot.create(8, 16);
    List<Integer> handles = new ArrayList<>();
    for (int path = 0; path < 20; path++) {
      handles.add(atPath(small, path, 5));
    }
    assertEquals(8, small.nrTraces());
    assertEquals(12, small.nrRefused());
    assertEquals(8, handles.subList(0, 8).stream().distinct().count());
    assertTrue(handles.subList(8, 20).stream().allMatch(handle -> handle == StackDepot.FULL));
    int again = -1;
    for (int path = 0; path < 1; path++) {
      again = atPath(small, path, 5);
    }
    assertEquals(StackDepot.FULL, again, "another line of this method: a new stack");
    assertEquals(List.of(), small.frames(StackDepot.FULL));
    assertEquals("(stack depot full)", small.firstFrameOutside(StackDepot.FULL, List.of()));
    assertEquals("(no trace)", small.firstFrameOutside(StackDepot.NONE, List.of()));
    assertEquals(8 * 16, small.nrFrames());
  }

  @Test
  void firstFrameOutside_passesOverPrefixes() {
    int handle = here();
    String mine = depot.firstFrameOutside(handle, List.of());
    assertTrue(mine.startsWith("io.memcg4j.slab.StackDepotTest.here(StackDepotTest.java:"), mine);
    String outside = depot.firstFrameOutside(handle, List.of("io.memcg4j.slab."));
    assertTrue(!outside.contains("memcg4j"), outside);
    String none = depot.firstFrameOutside(handle, List.of(""));
    assertEquals(depot.frames(handle).getLast().toString(), none);
  }

  @Test
  void frames_unknownHandle_isAnError() {
    for (int bad : new int[] {-1, 2, 17, Integer.MAX_VALUE}) {
      IllegalArgumentException e =
          assertThrows(IllegalArgumentException.class, () -> depot.frames(bad));
      assertTrue(String.valueOf(e.getMessage()).contains("handle=" + bad), e::toString);
    }
  }

  @Test
  void create_badBounds_areErrors() {
    assertThrows(IllegalArgumentException.class, () -> StackDepot.create(0, 16));
    assertThrows(IllegalArgumentException.class, () -> StackDepot.create(1, 0));
    assertThrows(
        IllegalArgumentException.class, () -> StackDepot.create(1, StackDepot.LIMIT_FRAMES + 1));
    assertThrows(
        IllegalArgumentException.class, () -> StackDepot.create(StackDepot.LIMIT_TRACES + 1, 1));
  }

  /** Every thread gets the same handle for the same stack, and no two stacks share one. */
  @Test
  void capture_manyThreads_agree() throws Exception {
    int nrPaths = 200;
    StackDepot shared = StackDepot.create(nrPaths, 12);
    CountDownLatch start = new CountDownLatch(1);
    Callable<List<Integer>> worker =
        () -> {
          start.await();
          List<Integer> handles = new ArrayList<>();
          for (int path = 0; path < nrPaths; path++) {
            handles.add(atPath(shared, path, 11));
          }
          return handles;
        };
    try (ExecutorService threads = Executors.newFixedThreadPool(4)) {
      List<Future<List<Integer>>> results = new ArrayList<>();
      for (int i = 0; i < 4; i++) {
        results.add(threads.submit(worker));
      }
      start.countDown();
      List<Integer> first = results.getFirst().get(30, TimeUnit.SECONDS);
      assertEquals(nrPaths, first.stream().distinct().count());
      for (Future<List<Integer>> result : results) {
        assertEquals(first, result.get(30, TimeUnit.SECONDS));
      }
    }
    assertEquals(nrPaths, shared.nrTraces());
    assertEquals(0, shared.nrRefused());
    assertEquals(12L * nrPaths, shared.nrFrames());
  }

  @Test
  void capture_virtualThread_hasItsOwnFrames() throws InterruptedException {
    int[] handle = {StackDepot.NONE};
    Thread thread = Thread.ofVirtual().start(() -> handle[0] = here());
    thread.join();
    assertEquals("here", depot.frames(handle[0]).getFirst().getMethodName());
  }
}
