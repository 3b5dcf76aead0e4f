package io.memcg4j.slab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryLimitException;
import io.memcg4j.objcg.Scope;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import java.util.concurrent.FutureTask;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The scenarios of the kernel's test_vmalloc, on two threads. */
final class VmallocStressTest {
  private static final long PAGE = Instance.PAGE;
  private static final int NR_THREADS = 2;

  private Instance instance;
  private Vmalloc vmalloc;

  @BeforeEach
  void open() {
    instance = Instance.create();
    vmalloc = instance.kmalloc.vmalloc();
  }

  @AfterEach
  void everythingIsGivenBack() {
    instance.assertNoAreasLeft();
    instance.close();
  }

  private interface Scenario {
    void run(int thread);
  }

  /** Runs a scenario on each thread, each in a group of its own. */
  private void onThreads(Scenario scenario) throws Exception {
    List<FutureTask<Void>> tasks = new ArrayList<>();
    for (int i = 0; i < NR_THREADS; i++) {
      int thread = i;
      MemCgroup group = instance.root.create("g" + i);
      FutureTask<Void> task =
          new FutureTask<>(() -> {
            try (Scope _ = instance.enter(group)) {
              scenario.run(thread);
            }
            return null;
          });
      tasks.add(task);
      Thread.ofPlatform().start(task);
    }
    for (FutureTask<Void> task : tasks) {
      Instance.await(task);
    }
  }

  /** Writes the area's address to both ends, so that areas that overlap are found. */
  private long allocate(long nrBytes) {
    long address = vmalloc.allocate(nrBytes);
    mark(address, nrBytes);
    return address;
  }

  private static void mark(long address, long nrBytes) {
    Instance.writeLong(address, 0, address);
    Instance.writeLong(address, Instance.roundToPages(nrBytes) - 8, address);
  }

  private void free(long address) {
    VmallocArea area = found(vmalloc.find(address));
    assertEquals(address, area.start());
    assertEquals(address, Instance.readLong(address, 0));
    assertEquals(address, Instance.readLong(address, area.chargedBytes() - 8));
    vmalloc.free(address);
  }

  private static VmallocArea found(@Nullable VmallocArea area) {
    return Objects.requireNonNull(area, "no area");
  }

  @Test
  void fixSize() throws Exception {
    onThreads(_ -> {
      for (int i = 0; i < 5000; i++) {
        free(allocate(3 * PAGE));
      }
    });
  }

  /** Fills, frees every second area and goes on with what is left: all holes, no neighbours. */
  @Test
  void fullFit() throws Exception {
    onThreads(_ -> {
      List<Long> areas = new ArrayList<>();
      for (int i = 0; i < 4000; i++) {
        areas.add(allocate(PAGE));
      }
      List<Long> rest = new ArrayList<>();
      for (int i = 0; i < areas.size(); i++) {
        if (i % 2 == 0) {
          free(areas.get(i));
        } else {
          rest.add(areas.get(i));
        }
      }
      for (int i = 0; i < 2000; i++) {
        free(allocate(PAGE));
        free(allocate(2 * PAGE));
      }
      rest.forEach(this::free);
    });
  }

  /** 15 000 areas live while areas of 100 pages and of one page come and go. */
  @Test
  void longBusyList() throws Exception {
    List<Long> busy = new ArrayList<>();
    try (Scope _ = instance.handle("busy").enter()) {
      for (int i = 0; i < 15_000; i++) {
        busy.add(vmalloc.allocate(PAGE));
      }
    }
    onThreads(_ -> {
      for (int i = 0; i < 2000; i++) {
        long large = allocate(100 * PAGE);
        long small = allocate(PAGE);
        free(large);
        free(small);
      }
    });
    assertEquals(15_000, vmalloc.info().nrAreas());
    assertEquals(
        15_000, vmalloc.vmallocinfo().lines().filter(l -> l.contains(" pages=1 ")).count());
    for (long address : busy) {
      assertEquals(address, found(vmalloc.find(address + 100)).start());
      vmalloc.free(address);
    }
  }

  @Test
  void randomSize() throws Exception {
    onThreads(thread -> {
      Random random = new Random(100 + thread);
      for (int i = 0; i < 5000; i++) {
        free(allocate((1 + random.nextInt(100)) * PAGE));
      }
    });
  }

  @Test
  void randomSizeAndAlignment() throws Exception {
    onThreads(thread -> {
      Random random = new Random(200 + thread);
      List<Long> areas = new ArrayList<>();
      for (int i = 0; i < 3000; i++) {
        long alignment = 1L << random.nextInt(23);
        long nrBytes = 1L + random.nextInt(10 * (int) PAGE);
        long address = vmalloc.allocateAligned(nrBytes, alignment);
        assertEquals(0, address & (alignment - 1), "alignment=" + alignment);
        mark(address, nrBytes);
        areas.add(address);
        if (areas.size() > 20) {
          free(areas.remove(random.nextInt(areas.size())));
        }
      }
      areas.forEach(this::free);
    });
  }

  /** From 2^0 to 2^63: what the range can give is given, the rest refused, as one or the other. */
  @Test
  void alignment_anyPowerOfTwo_isGivenOrRefusedClearly() {
    int nrGiven = 0;
    for (int shift = 0; shift < 64; shift++) {
      long alignment = 1L << shift;
      if (alignment < 1 || alignment > Instance.DEFAULT_RANGE_BYTES - 2 * PAGE) {
        IllegalArgumentException e =
            assertThrows(
                IllegalArgumentException.class, () -> vmalloc.allocateAligned(PAGE, alignment));
        assertTrue(
            e.getMessage()
                .startsWith(
                    "alignment out of range: alignment=" + Long.toUnsignedString(alignment)),
            e::getMessage);
        continue;
      }
      long address = vmalloc.tryAllocateAligned(PAGE, alignment);
      if (address == Vmalloc.NULL) { // no such address happens to be in the range
        assertTrue(alignment > Instance.DEFAULT_RANGE_BYTES / 2, "shift=" + shift);
        assertThrows(MemoryLimitException.class, () -> vmalloc.allocateAligned(PAGE, alignment));
        continue;
      }
      assertNotEquals(Vmalloc.NULL, address);
      assertEquals(0, address & (alignment - 1));
      mark(address, PAGE);
      free(address);
      nrGiven++;
    }
    assertTrue(nrGiven >= 33, "given=" + nrGiven);
  }
}
