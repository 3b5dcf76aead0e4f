package io.memcg4j.slab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryLimitException;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.percpu.CpuSlots;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The allocator on a system whose calls we do not know: forced onto the fallback. */
final class ArenaMapperTest {
  private static final long RANGE_BYTES = 16L << 20;
  private static final long PAGE = Instance.PAGE;

  private MemCgroup root;
  private MemCgroup group;
  private Kmalloc kmalloc;

  @BeforeEach
  void open() {
    root = MemCgroup.root(CpuSlots.create(4, 2));
    group = root.create("a");
    kmalloc = Kmalloc.builder(root).rangeBytes(RANGE_BYTES).mapper(new ArenaMapper()).build();
  }

  @AfterEach
  void everythingIsGivenBack() {
    assertEquals(0, kmalloc.info().nrObjects());
    kmalloc.shrink();
    root.drain();
    assertEquals(0, root.usage());
    assertEquals(0, kmalloc.info().mappedBytes());
    kmalloc.close();
  }

  @Test
  void of_choosesByPropertyThenBySystem() {
    assertInstanceOf(Mmap.class, Mapper.of("", "Linux"));
    assertInstanceOf(ArenaMapper.class, Mapper.of("", "Mac OS X"));
    assertInstanceOf(ArenaMapper.class, Mapper.of("", "Windows 11"));
    assertInstanceOf(ArenaMapper.class, Mapper.of("arena", "Linux"));
    assertInstanceOf(Mmap.class, Mapper.of("mmap", "Linux"));
    IllegalArgumentException e =
        assertThrows(IllegalArgumentException.class, () -> Mapper.of("malloc", "Linux"));
    assertEquals("unknown mapper: memcg4j.mapper=malloc legal=mmap,arena", e.getMessage());
    assertTrue(new ArenaMapper().defaultRangeBytes() < new Mmap().defaultRangeBytes());
  }

  @Test
  void reserve_moreThanTheJvmGives_isAnAnswer() {
    ArenaMapper mapper = new ArenaMapper();
    assertEquals(0, mapper.reserve(1L << 50));
    long address = mapper.reserve(PAGE);
    assertEquals(0, address % PAGE);
    mapper.release(address, PAGE);
    assertThrows(IllegalArgumentException.class, () -> mapper.release(address, PAGE));
  }

  @Test
  void objects_anySize_areApartZeroedOnDemandAndFreed() {
    Random random = new Random(3);
    List<Long> objects = new ArrayList<>();
    List<Integer> sizes = new ArrayList<>();
    try (Scope scope = ObjCgroup.of(group).enter()) {
      Kmalloc.Bound bound = kmalloc.bind(scope);
      for (int i = 0; i < 20_000; i++) {
        if (objects.size() < 300 && random.nextInt(5) > 1) {
          int size = 1 + random.nextInt(random.nextInt(20) == 0 ? 40_000 : 2000);
          long address = bound.allocateZeroed(size);
          assertEquals(0, Instance.read(address, 0) | Instance.read(address, size - 1));
          Instance.fill(address, size, size);
          objects.add(address);
          sizes.add(size);
        } else if (!objects.isEmpty()) {
          int victim = random.nextInt(objects.size());
          long address = objects.set(victim, objects.getLast());
          int size = sizes.set(victim, sizes.getLast());
          objects.removeLast();
          sizes.removeLast();
          assertEquals((byte) size, Instance.read(address, 0));
          assertEquals((byte) size, Instance.read(address, size - 1));
          bound.free(address);
        }
        if (i % 5000 == 0) {
          kmalloc.shrink();
        }
      }
      objects.forEach(bound::free);
    }
  }

  @Test
  void limitsAndBadFrees_areThoseOfEverySystem() {
    group.setMax(100 * PAGE);
    try (Scope _ = ObjCgroup.of(group).enter()) {
      long object = kmalloc.allocate(100);
      assertThrows(MemoryLimitException.class, () -> kmalloc.allocate(101 * PAGE));
      assertEquals(Kmalloc.NULL, kmalloc.tryAllocate(101 * PAGE));
      assertThrows(IllegalArgumentException.class, () -> kmalloc.free(object + 8));
      kmalloc.free(object);
      assertThrows(IllegalArgumentException.class, () -> kmalloc.free(object));
      long large = kmalloc.reallocate(kmalloc.allocate(10_000), 50_000);
      kmalloc.free(large);
    }
    assertThrows(
        MemoryLimitException.class, () -> kmalloc.allocate(RANGE_BYTES - 1), "the range is used");
  }

  @Test
  void areas_comeAndGo_readAsZeroWhenUsedAgain() {
    Vmalloc vmalloc = kmalloc.vmalloc();
    Random random = new Random(4);
    List<Long> areas = new ArrayList<>();
    try (Scope _ = ObjCgroup.of(group).enter()) {
      for (int i = 0; i < 3000; i++) {
        long nrBytes = (1L + random.nextInt(30)) * PAGE;
        long address = areas.size() > 40 ? Vmalloc.NULL : vmalloc.tryAllocate(nrBytes);
        if (address != Vmalloc.NULL) {
          assertEquals(0, Instance.read(address, 0) | Instance.read(address, nrBytes - 1));
          Instance.fill(address, nrBytes, 1);
          assertNull(vmalloc.find(address + nrBytes), "the gap behind it");
          areas.add(address);
        } else {
          int victim = random.nextInt(areas.size());
          long now = vmalloc.tryReallocate(areas.get(victim), nrBytes);
          if (now == Vmalloc.NULL || random.nextBoolean()) {
            vmalloc.free(now == Vmalloc.NULL ? areas.get(victim) : now);
            areas.remove(victim);
          } else {
            areas.set(victim, now);
          }
        }
      }
      areas.forEach(vmalloc::free);
    }
    assertEquals(0, vmalloc.info().usedBytes());
    vmalloc.shrink();
    long all = vmalloc.allocate(RANGE_BYTES / 2);
    vmalloc.free(all);
  }

  /** A system with pages of 64 KiB, as some on aarch64. */
  private record LargePages(Mapper mapper) implements Mapper {
    @Override
    public long pageBytes() {
      return 1L << 16;
    }

    @Override
    public long reserve(long nrBytes) {
      return mapper.reserve(nrBytes);
    }

    @Override
    public boolean commit(long address, long nrBytes) {
      assertEquals(0, nrBytes % (1 << 15), "slabs come in chunks, areas in pages");
      return mapper.commit(address, nrBytes);
    }

    @Override
    public void discard(long address, long nrBytes) {
      mapper.discard(address, nrBytes);
    }

    @Override
    public void release(long address, long nrBytes) {
      mapper.release(address, nrBytes);
    }
  }

  @Test
  void areas_pagesOf64Kib_areWholePagesOfTheOs() {
    kmalloc.close();
    kmalloc =
        Kmalloc.builder(root)
            .rangeBytes(RANGE_BYTES)
            .mapper(new LargePages(new ArenaMapper()))
            .build();
    Vmalloc vmalloc = kmalloc.vmalloc();
    long address;
    try (Scope _ = ObjCgroup.of(group).enter()) {
      address = vmalloc.allocate(1);
    }
    assertEquals(1 << 16, vmalloc.usableSize(address));
    root.drain();
    assertEquals(1 << 16, group.usage(), "what is really used is charged");
    assertNull(vmalloc.find(address + (1 << 16)));
    long next = vmalloc.allocate(100_000);
    assertEquals(address + (2 << 16), next);
    vmalloc.free(address);
    vmalloc.free(next);
  }
}
