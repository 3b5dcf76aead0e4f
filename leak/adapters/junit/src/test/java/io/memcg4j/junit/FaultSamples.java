package io.memcg4j.junit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import io.memcg4j.memcg.MemoryLimitException;
import io.memcg4j.slab.AccountedArena;
import io.memcg4j.slab.FaultKind;
import io.memcg4j.slab.Kmalloc;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Tests whose allocations are failed, to be run by tests: some of them fail on purpose. */
final class FaultSamples {
  private FaultSamples() {}

  /** Tries to allocate so many objects; returns the numbers of those that it did not get. */
  static Set<Integer> refused(Kmalloc kmalloc, int nrObjects) {
    Set<Integer> refused = new TreeSet<>();
    List<Long> held = new ArrayList<>();
    for (int i = 1; i <= nrObjects; i++) {
      long object = kmalloc.tryAllocate(64);
      if (object == Kmalloc.NULL) {
        refused.add(i);
      } else {
        held.add(object);
      }
    }
    held.forEach(kmalloc::free);
    return refused;
  }

  @NoLeaks
  static final class Failing {
    @BeforeEach
    void before(Kmalloc kmalloc) {
      assertEquals(Set.of(), refused(kmalloc, 5));
    }

    @AfterEach
    void after(Kmalloc kmalloc) {
      assertEquals(Set.of(), refused(kmalloc, 5));
    }

    @Test
    @FailNth(3)
    void third(Kmalloc kmalloc) {
      assertEquals(Set.of(3), refused(kmalloc, 10));
    }

    @Test
    @FailNth(1)
    void thrown(Kmalloc kmalloc) {
      MemoryLimitException e = assertThrows(MemoryLimitException.class, () -> kmalloc.allocate(64));
      assertEquals(MemoryLimitException.INJECTED, e.limitedBy());
    }

    @Test
    @FailNth(1)
    void notCaught(Kmalloc kmalloc) {
      kmalloc.free(kmalloc.allocate(64));
    }

    @Test
    @FailNth(20)
    void tooFew(Kmalloc kmalloc) {
      assertEquals(Set.of(), refused(kmalloc, 10));
    }

    @Test
    @FailNth(value = 1, kinds = FaultKind.VMALLOC)
    void area(Kmalloc kmalloc) {
      assertEquals(Set.of(), refused(kmalloc, 3));
      assertThrows(MemoryLimitException.class, () -> kmalloc.vmalloc().allocate(1 << 20));
    }

    @Test
    @FailNth(2)
    void leaksOnFailure(Kmalloc kmalloc) {
      kmalloc.allocate(64);
      assertEquals(Kmalloc.NULL, kmalloc.tryAllocate(64));
    }

    @Test
    @FailNth(1)
    void arenaParameter(AccountedArena arena) {
      assertThrows(MemoryLimitException.class, () -> arena.allocate(100, 8));
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2})
    @FailNth(2)
    void eachInvocation(int nrObjects, Kmalloc kmalloc) {
      assertEquals(nrObjects == 1 ? Set.of() : Set.of(2), refused(kmalloc, nrObjects));
    }

    @Test
    @FailNth(2)
    @Timeout(value = 1, unit = TimeUnit.MINUTES, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
    void onTheThreadOfTheMethod(Kmalloc kmalloc) {
      assertEquals(Set.of(2), refused(kmalloc, 3));
    }

    @Test
    @FailSlab(interval = 3, times = 2)
    void everyThirdTwice(Kmalloc kmalloc) {
      assertEquals(Set.of(3, 6), refused(kmalloc, 20));
    }

    @Test
    @FailSlab(caches = "kmalloc-64")
    void oneCache(Kmalloc kmalloc) {
      assertEquals(Kmalloc.NULL, kmalloc.tryAllocate(64));
      long other = kmalloc.tryAllocate(1024);
      assertNotEquals(Kmalloc.NULL, other);
      kmalloc.free(other);
    }

    @Test
    @FailSlab(probability = 50, seed = 7)
    void someTimes(Kmalloc kmalloc) {
      int nrRefused = refused(kmalloc, 100).size();
      assertTrue(nrRefused > 20 && nrRefused < 80, () -> "nrRefused=" + nrRefused);
    }

    @Test
    @FailSlab(probability = 101)
    void badSetting(Kmalloc kmalloc) {
      kmalloc.free(kmalloc.allocate(64));
    }

    @Test
    @FailSlab
    void onlyOwnThread(Kmalloc kmalloc) throws InterruptedException {
      assertEquals(Set.of(1, 2), refused(kmalloc, 2));
      assertEquals(Set.of(), onAnotherThread(kmalloc));
    }

    @Test
    @FailSlab(allThreads = true)
    void everyThread(Kmalloc kmalloc) throws InterruptedException {
      assertEquals(Set.of(1, 2), onAnotherThread(kmalloc));
    }

    private static Set<Integer> onAnotherThread(Kmalloc kmalloc) throws InterruptedException {
      Set<Integer> refused = new TreeSet<>();
      Thread other = Thread.ofPlatform().start(() -> refused.addAll(refused(kmalloc, 2)));
      other.join();
      return refused;
    }
  }

  /** Two dynamic tests, each hit by itself. */
  @NoLeaks
  static final class Dynamic {
    @TestFactory
    @FailNth(2)
    List<DynamicTest> nth(Kmalloc kmalloc) {
      Set<Integer> ofFactory = refused(kmalloc, 3);
      return List.of(
          dynamicTest("hit", () -> assertEquals(Set.of(2), refused(kmalloc, 3))),
          dynamicTest("hitToo", () -> assertEquals(Set.of(2), refused(kmalloc, 3))),
          dynamicTest("tooFew", () -> assertEquals(Set.of(), refused(kmalloc, 1))),
          dynamicTest(
              "factory",
              () -> {
                assertEquals(Set.of(), ofFactory);
                assertEquals(Set.of(2), refused(kmalloc, 2));
              }));
    }

    @TestFactory
    @FailSlab(interval = 2)
    Stream<DynamicTest> slab(Kmalloc kmalloc) {
      return Stream.of("even", "evenToo")
          .map(name -> dynamicTest(name, () -> assertEquals(Set.of(2, 4), refused(kmalloc, 5))));
    }

    @TestFactory
    List<DynamicTest> leaks(Kmalloc kmalloc) {
      return List.of(dynamicTest("leak", () -> kmalloc.allocate(64)));
    }
  }

  /** All allocate between two meetings, so that the failures of one would hit the others. */
  @NoLeaks
  static final class AtTheSameTime {
    static final int NR_TESTS = 3;
    static CyclicBarrier barrier = new CyclicBarrier(NR_TESTS);

    private static Set<Integer> meet(Kmalloc kmalloc) throws Exception {
      barrier.await(20, TimeUnit.SECONDS);
      Set<Integer> refused = refused(kmalloc, 10);
      barrier.await(20, TimeUnit.SECONDS);
      return refused;
    }

    @Test
    @FailNth(4)
    void nth(Kmalloc kmalloc) throws Exception {
      assertEquals(Set.of(4), meet(kmalloc));
    }

    @Test
    @FailSlab(interval = 5, allThreads = true)
    void slab(Kmalloc kmalloc) throws Exception {
      assertEquals(Set.of(5, 10), meet(kmalloc));
    }

    @Test
    void none(Kmalloc kmalloc) throws Exception {
      assertEquals(Set.of(), meet(kmalloc));
    }
  }
}
