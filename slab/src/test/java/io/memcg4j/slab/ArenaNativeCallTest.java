package io.memcg4j.slab;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Closing while a native call holds a segment: {@code qsort}, from inside its comparison. */
@SuppressWarnings("restricted")
final class ArenaNativeCallTest {
  private static final int NR_INTS = 10;

  private final Instance instance = Instance.create();
  private final Kmalloc kmalloc = instance.kmalloc;

  /** What the comparison does first, once; nothing may be thrown out of it. */
  private Runnable inside = () -> {};

  @AfterEach
  void nothingIsLeft() {
    kmalloc.shrink();
    assertEquals(0, ArenaInfo.of(kmalloc).nrHeldSessions());
    instance.assertNothingLeft();
    instance.close();
  }

  int compare(MemorySegment a, MemorySegment b) {
    Runnable once = inside;
    inside = () -> {};
    once.run();
    return Integer.compare(a.get(JAVA_INT, 0), b.get(JAVA_INT, 0));
  }

  private void sort(MemorySegment ints) throws Throwable {
    Linker linker = Linker.nativeLinker();
    MethodHandle qsort =
        linker.downcallHandle(
            linker.defaultLookup().findOrThrow("qsort"),
            FunctionDescriptor.ofVoid(ADDRESS, JAVA_LONG, JAVA_LONG, ADDRESS));
    MethodHandle compare =
        MethodHandles.lookup()
            .bind(
                this,
                "compare",
                MethodType.methodType(int.class, MemorySegment.class, MemorySegment.class));
    var ints4 = ADDRESS.withTargetLayout(JAVA_INT);
    try (Arena stubs = Arena.ofConfined()) {
      MemorySegment stub =
          linker.upcallStub(compare, FunctionDescriptor.of(JAVA_INT, ints4, ints4), stubs);
      qsort.invokeExact(ints, (long) NR_INTS, JAVA_INT.byteSize(), stub);
    }
  }

  private static MemorySegment descending(Arena arena) {
    MemorySegment ints = arena.allocate(JAVA_INT, NR_INTS);
    for (int i = 0; i < NR_INTS; i++) {
      ints.setAtIndex(JAVA_INT, i, NR_INTS - i);
    }
    return ints;
  }

  @Test
  void confined_closedInsideACall_throwsAndStaysOpen() throws Throwable {
    IllegalStateException[] thrown = new IllegalStateException[1];
    try (AccountedArena arena = AccountedArena.ofConfined(kmalloc)) {
      MemorySegment ints = descending(arena);
      inside =
          () -> thrown[0] = assertThrows(IllegalStateException.class, arena::close, "in a call");
      sort(ints);
      assertTrue(thrown[0].getMessage() != null);
      assertEquals(1, ints.getAtIndex(JAVA_INT, 0));
      assertEquals(NR_INTS, ints.getAtIndex(JAVA_INT, NR_INTS - 1));
    }
  }

  @Test
  void shared_closedInsideACall_memoryWaitsForTheCall() throws Throwable {
    AccountedArena arena = AccountedArena.ofShared(kmalloc);
    MemorySegment ints = descending(arena);
    long[] nrLive = new long[1];
    long[] nrHeld = new long[1];
    inside =
        () -> {
          arena.close();
          kmalloc.shrink();
          nrLive[0] = kmalloc.info().nrObjects();
          nrHeld[0] = ArenaInfo.of(kmalloc).nrHeldSessions();
        };
    sort(ints);
    assertEquals(1, nrLive[0]);
    assertEquals(1, nrHeld[0]);
    assertEquals(1, ints.getAtIndex(JAVA_INT, 0)); // its own memory still
    kmalloc.shrink();
    assertThrows(IllegalStateException.class, () -> ints.getAtIndex(JAVA_INT, 0));
  }
}
