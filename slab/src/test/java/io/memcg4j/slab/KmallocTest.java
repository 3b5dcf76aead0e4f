package io.memcg4j.slab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.percpu.CpuSlots;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.function.LongUnaryOperator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The general form and the bound form, one thread. */
final class KmallocTest {
  private static final int[] SIZES = {
    1, 7, 8, 9, 16, 24, 31, 64, 65, 96, 100, 128, 192, 500, 1000, 1024, 1025, 2048, 3000, 4096,
    4097, 8191, 8192, 8193, 10_000, 32_768, 32_769, 65_536, 100_000, 1 << 20, 5_000_001
  };

  private Instance instance;
  private Kmalloc kmalloc;

  @BeforeEach
  void open() {
    instance = Instance.create();
    kmalloc = instance.kmalloc;
  }

  @AfterEach
  void everythingIsGivenBack() {
    instance.assertNothingLeft();
    instance.close();
  }

  /** Who calls: what differs is where slot, stock and magazines come from. */
  private enum Caller {
    NO_SCOPE,
    SCOPE,
    ROOT_SCOPE,
    BOUND,
    BOUND_ROOT,
    OVERFLOW,
    BOUND_OVERFLOW
  }

  private interface Body {
    void run(Calls calls);
  }

  /** The calls that both forms have. */
  private record Calls(
      LongUnaryOperator allocate,
      LongUnaryOperator allocateZeroed,
      Aligned allocateAligned,
      Aligned reallocate,
      Free free) {}

  private interface Aligned {
    long call(long first, long second);
  }

  private interface Free {
    void call(long address);
  }

  private void as(Caller caller, Body body) {
    if (caller == Caller.OVERFLOW || caller == Caller.BOUND_OVERFLOW) {
      instance.close();
      instance = Instance.of(CpuSlots.create(0, 2));
      kmalloc = instance.kmalloc;
    }
    switch (caller) {
      case NO_SCOPE -> body.run(general());
      case SCOPE, ROOT_SCOPE, OVERFLOW -> {
        try (Scope _ = instance.enter(group(caller))) {
          body.run(general());
        }
      }
      case BOUND, BOUND_ROOT, BOUND_OVERFLOW -> {
        try (Scope scope = instance.enter(group(caller))) {
          body.run(bound(kmalloc.bind(scope)));
        }
      }
    }
  }

  private MemCgroup group(Caller caller) {
    return caller == Caller.ROOT_SCOPE || caller == Caller.BOUND_ROOT
        ? instance.root
        : instance.root.create("a");
  }

  private Calls general() {
    return new Calls(
        kmalloc::allocate,
        kmalloc::allocateZeroed,
        kmalloc::allocateAligned,
        kmalloc::reallocate,
        kmalloc::free);
  }

  private static Calls bound(Kmalloc.Bound bound) {
    return new Calls(
        bound::allocate,
        bound::allocateZeroed,
        bound::allocateAligned,
        bound::reallocate,
        bound::free);
  }

  @ParameterizedTest
  @EnumSource(Caller.class)
  void allocate_anySize_isUsableAlignedAndApart(Caller caller) {
    as(
        caller,
        calls -> {
          List<Long> objects = new ArrayList<>();
          for (int round = 0; round < 3; round++) {
            for (int size : SIZES) {
              long address = calls.allocate().applyAsLong(size);
              assertEquals(0, address % 8, () -> "size=" + size);
              long usable = kmalloc.usableSize(address);
              assertEquals(Kmalloc.roundUp(size), usable);
              long aligned = Math.min(usable & -usable, Instance.PAGE);
              assertEquals(0, address % aligned, () -> "size=" + size);
              Instance.fill(address, usable, objects.size());
              objects.add(address);
            }
          }
          for (int i = 0; i < objects.size(); i++) {
            long address = objects.get(i);
            long usable = kmalloc.usableSize(address);
            assertEquals((byte) i, Instance.read(address, 0));
            assertEquals((byte) i, Instance.read(address, usable - 1));
          }
          assertEquals(objects.size(), kmalloc.info().nrObjects());
          objects.forEach(calls.free()::call);
        });
  }

  @ParameterizedTest
  @EnumSource(Caller.class)
  void allocateZeroed_dirtyMemory_isZero(Caller caller) {
    as(
        caller,
        calls -> {
          for (int round = 0; round < 3; round++) {
            List<Long> objects = new ArrayList<>();
            for (int size : SIZES) {
              long address = calls.allocateZeroed().applyAsLong(size);
              MemorySegment segment = Kmalloc.MEMORY.asSlice(address, size);
              MemorySegment zeros = MemorySegment.ofArray(new byte[size]);
              assertEquals(-1, segment.mismatch(zeros), () -> "size=" + size);
              Instance.fill(address, kmalloc.usableSize(address), 0xff);
              objects.add(address);
            }
            objects.forEach(calls.free()::call);
          }
        });
  }

  @ParameterizedTest
  @EnumSource(Caller.class)
  void allocateAligned_allPowersOfTwo_isAligned(Caller caller) {
    as(
        caller,
        calls -> {
          List<Long> objects = new ArrayList<>();
          for (long alignment = 1; alignment <= 1 << 20; alignment *= 2) {
            for (int size : new int[] {1, 24, 64, 100, 3000, 4096, 8192, 8193, 100_000}) {
              long address = calls.allocateAligned().call(size, alignment);
              assertEquals(
                  0, address & (alignment - 1), "size=" + size + " alignment=" + alignment);
              assertTrue(kmalloc.usableSize(address) >= size);
              Instance.fill(address, kmalloc.usableSize(address), objects.size());
              objects.add(address);
            }
          }
          for (int i = 0; i < objects.size(); i++) {
            long usable = kmalloc.usableSize(objects.get(i));
            assertEquals((byte) i, Instance.read(objects.get(i), 0));
            assertEquals((byte) i, Instance.read(objects.get(i), usable - 1));
          }
          objects.forEach(calls.free()::call);
        });
  }

  /** Far beyond chunks: the range itself is not aligned to these. */
  @Test
  void allocateAligned_upToTheRange_isAlignedOrRefused() {
    for (long alignment = 2 << 20; alignment <= Instance.DEFAULT_RANGE_BYTES; alignment *= 2) {
      long address = kmalloc.tryAllocateAligned(100_000, alignment);
      assertTrue(address != Kmalloc.NULL || alignment > Instance.DEFAULT_RANGE_BYTES / 2);
      assertEquals(0, address & (alignment - 1));
      if (address != Kmalloc.NULL) {
        Instance.fill(address, 100_000, 1);
        kmalloc.free(address);
      }
    }
  }

  @ParameterizedTest
  @EnumSource(Caller.class)
  void reallocate_anySizeToAnySize_keepsContents(Caller caller) {
    as(
        caller,
        calls -> {
          for (int from : SIZES) {
            for (int to : SIZES) {
              long address = calls.allocate().applyAsLong(from);
              long usable = kmalloc.usableSize(address);
              Instance.write(address, 0, 1);
              Instance.write(address, from / 2, 2);
              Instance.write(address, from - 1, 3);
              long moved = calls.reallocate().call(address, to);
              String what = "from=" + from + " to=" + to;
              if (to <= usable) {
                assertEquals(address, moved, what);
              }
              assertTrue(kmalloc.usableSize(moved) >= to, what);
              assertEquals(from == 1 ? 3 : from / 2 == 0 ? 2 : 1, Instance.read(moved, 0), what);
              if (from - 1 < to && from > 2) {
                assertEquals(2, Instance.read(moved, from / 2), what);
                assertEquals(3, Instance.read(moved, from - 1), what);
              }
              Instance.write(moved, to - 1, 4);
              assertEquals(1, kmalloc.info().nrObjects(), what);
              calls.free().call(moved);
            }
          }
        });
  }

  @Test
  void reallocate_largeObjectWithinItsRun_staysAndIsChargedForWhatItHas() {
    MemCgroup group = instance.root.create("a");
    long address;
    try (Scope _ = instance.enter(group)) {
      address = kmalloc.allocate(1 << 20);
      Instance.fill(address, 1 << 20, 5);
    }
    assertEquals(1 << 20, instance.drainedUsage(group));
    long mapped = kmalloc.info().mappedBytes();
    for (int nrPages : new int[] {256, 255, 3, 1, 2, 100, 99, 256}) {
      long nrBytes = nrPages * Instance.PAGE - 17;
      assertEquals(address, kmalloc.reallocate(address, nrBytes));
      assertEquals(nrPages * Instance.PAGE, kmalloc.usableSize(address));
      assertEquals(nrPages * Instance.PAGE, instance.drainedUsage(group));
      assertEquals(mapped - (256 - nrPages) * Instance.PAGE, kmalloc.info().mappedBytes());
      assertEquals(5, Instance.read(address, 4095));
    }
    long moved = kmalloc.reallocate(address, (1 << 20) + 1);
    assertNotEquals(address, moved);
    assertEquals(5, Instance.read(moved, 4095));
    assertEquals(0, Instance.read(moved, 2 * Instance.PAGE), "trimmed memory must read as zero");
    kmalloc.free(moved);
    assertEquals(0, instance.drainedUsage(group));
  }

  @Test
  void reallocate_nothing_allocates() {
    long address = kmalloc.reallocate(Kmalloc.NULL, 100);
    assertEquals(112, kmalloc.usableSize(address));
    long other = kmalloc.reallocate(Kmalloc.ZERO_SIZE, 100);
    assertNotEquals(address, other);
    assertEquals(Kmalloc.ZERO_SIZE, kmalloc.reallocate(address, 0));
    assertThrows(IllegalArgumentException.class, () -> kmalloc.usableSize(address));
    assertEquals(Kmalloc.ZERO_SIZE, kmalloc.reallocate(other, 0));
    assertEquals(Kmalloc.ZERO_SIZE, kmalloc.reallocate(Kmalloc.NULL, 0));
  }

  @Test
  void sizeZero_anyForm_givesTheEmptyObject() {
    try (Scope scope = instance.handle("a").enter()) {
      Kmalloc.Bound bound = kmalloc.bind(scope);
      long usage = instance.root.usage();
      assertEquals(Kmalloc.ZERO_SIZE, kmalloc.allocate(0));
      assertEquals(Kmalloc.ZERO_SIZE, kmalloc.tryAllocate(0));
      assertEquals(Kmalloc.ZERO_SIZE, kmalloc.allocateZeroed(0));
      assertEquals(Kmalloc.ZERO_SIZE, kmalloc.allocateAligned(0, 4096));
      assertEquals(Kmalloc.ZERO_SIZE, bound.allocate(0));
      assertEquals(Kmalloc.ZERO_SIZE, bound.tryAllocateZeroed(0));
      assertEquals(usage, instance.root.usage());
      for (long nothing : new long[] {Kmalloc.ZERO_SIZE, Kmalloc.NULL}) {
        kmalloc.free(nothing);
        bound.free(nothing);
        kmalloc.free(nothing);
        assertEquals(0, kmalloc.usableSize(nothing));
      }
      MemorySegment segment = kmalloc.allocateSegment(0);
      assertEquals(0, segment.byteSize());
      kmalloc.free(segment);
      assertEquals(0, kmalloc.info().nrObjects());
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {-1, -8192, Long.MIN_VALUE, Long.MIN_VALUE + 1, Long.MAX_VALUE, 1L << 40})
  void allocate_sizeOutOfRange_isRefusedWithTheRange(long nrBytes) {
    try (Scope scope = instance.handle("a").enter()) {
      Kmalloc.Bound bound = kmalloc.bind(scope);
      long address = kmalloc.allocate(64);
      List<Runnable> calls =
          List.of(
              () -> kmalloc.allocate(nrBytes),
              () -> kmalloc.tryAllocate(nrBytes),
              () -> kmalloc.allocateZeroed(nrBytes),
              () -> kmalloc.tryAllocateZeroed(nrBytes),
              () -> kmalloc.allocateAligned(nrBytes, 64),
              () -> kmalloc.tryAllocateAligned(nrBytes, 1 << 16),
              () -> kmalloc.reallocate(address, nrBytes),
              () -> kmalloc.tryReallocate(Kmalloc.NULL, nrBytes),
              () -> kmalloc.allocateSegment(nrBytes),
              () -> bound.allocate(nrBytes),
              () -> bound.tryAllocate(nrBytes),
              () -> bound.allocateZeroed(nrBytes),
              () -> bound.allocateAligned(nrBytes, 64),
              () -> bound.reallocate(address, nrBytes));
      for (int i = 0; i < calls.size(); i++) {
        String call = "call " + i;
        IllegalArgumentException e =
            assertThrows(IllegalArgumentException.class, calls.get(i)::run, call);
        assertTrue(e.getMessage().contains("nrBytes=" + nrBytes), e::getMessage);
        assertTrue(e.getMessage().contains("legal=0.."), e::getMessage);
      }
      assertEquals(1, kmalloc.info().nrObjects());
      kmalloc.free(address);
    }
  }

  @Test
  void allocateAligned_alignmentOutOfRange_isRefused() {
    for (long alignment : new long[] {0, -1, 3, 24, Long.MIN_VALUE, Long.MAX_VALUE, 1L << 50}) {
      IllegalArgumentException e =
          assertThrows(
              IllegalArgumentException.class, () -> kmalloc.allocateAligned(64, alignment));
      assertTrue(e.getMessage().contains("alignment=" + alignment), e::getMessage);
    }
  }

  @Test
  void roundUp_anySize_isWhatAnObjectGets() {
    assertEquals(0, Kmalloc.roundUp(0));
    assertEquals(8, Kmalloc.roundUp(1));
    assertEquals(112, Kmalloc.roundUp(97));
    assertEquals(8192, Kmalloc.roundUp(8192));
    assertEquals(12_288, Kmalloc.roundUp(8193));
    assertEquals(1L << 62, Kmalloc.roundUp((1L << 62) - 5));
    for (long nrBytes : new long[] {-1, Long.MIN_VALUE, Long.MAX_VALUE, Long.MAX_VALUE - 4000}) {
      IllegalArgumentException e =
          assertThrows(IllegalArgumentException.class, () -> Kmalloc.roundUp(nrBytes));
      assertTrue(e.getMessage().contains("nrBytes=" + nrBytes), e::getMessage);
    }
  }

  @Test
  void allocateSegment_anySize_isBounded() {
    for (int size : SIZES) {
      MemorySegment segment = kmalloc.allocateSegment(size);
      assertEquals(size, segment.byteSize());
      assertTrue(segment.isNative());
      segment.set(ValueLayout.JAVA_BYTE, 0, (byte) 1);
      segment.set(ValueLayout.JAVA_BYTE, size - 1, (byte) 2);
      assertThrows(
          IndexOutOfBoundsException.class,
          () -> segment.set(ValueLayout.JAVA_BYTE, size, (byte) 3));
      if (size > 1) {
        assertThrows(IllegalArgumentException.class, () -> kmalloc.free(segment.asSlice(1)));
      }
      kmalloc.free(segment);
      assertThrows(IllegalArgumentException.class, () -> kmalloc.free(segment));
    }
  }

  @Test
  void freeSegment_notOfThisAllocator_isRefused() {
    assertThrows(
        IllegalArgumentException.class, () -> kmalloc.free(MemorySegment.ofArray(new byte[8])));
    assertThrows(
        IllegalArgumentException.class, () -> kmalloc.free(MemorySegment.ofArray(new long[2])));
    try (Arena arena = Arena.ofConfined()) {
      assertThrows(IllegalArgumentException.class, () -> kmalloc.free(arena.allocate(64)));
    }
  }

  @Test
  void allocate_hundredsOfMebibytes_isUsableToTheEnd() {
    MemCgroup group = instance.root.create("a");
    try (Scope scope = instance.enter(group)) {
      Kmalloc.Bound bound = kmalloc.bind(scope);
      List<Long> objects = new ArrayList<>();
      for (long mebibytes : new long[] {1, 2, 3, 64, 300, 511}) {
        long nrBytes = (mebibytes << 20) + 1;
        long address = bound.allocate(nrBytes);
        assertEquals(Instance.roundToPages(nrBytes), kmalloc.usableSize(address));
        Instance.writeLong(address, 0, address);
        Instance.writeLong(address, nrBytes / 2, ~address);
        Instance.writeLong(address, nrBytes - 8, address);
        objects.add(address);
      }
      for (long address : objects) {
        long nrBytes = kmalloc.usableSize(address) - Instance.PAGE + 1;
        assertEquals(address, Instance.readLong(address, 0));
        assertEquals(~address, Instance.readLong(address, nrBytes / 2));
        assertEquals(address, Instance.readLong(address, nrBytes - 8));
      }
      long usage = group.usage();
      long expected = objects.stream().mapToLong(kmalloc::usableSize).sum();
      assertTrue(usage >= expected && usage <= expected + 64 * Instance.PAGE, () -> "" + usage);
      objects.forEach(bound::free);
    }
  }

  /** More than fits an int of bytes, by a segment whose middle is never touched. */
  @Test
  void allocate_moreThanTwoGibibytes_isAddressedRight() {
    long nrBytes = 5L << 30;
    MemorySegment segment = kmalloc.allocateSegment(nrBytes);
    segment.set(ValueLayout.JAVA_LONG_UNALIGNED, nrBytes - 8, 42);
    segment.set(ValueLayout.JAVA_LONG_UNALIGNED, 3L << 30, 43);
    assertEquals(nrBytes, kmalloc.usableSize(segment.address()));
    assertThrows(
        IllegalArgumentException.class, () -> kmalloc.free(segment.address() + (3L << 30)));
    long moved = kmalloc.reallocate(segment.address(), nrBytes - (1 << 20));
    assertEquals(segment.address(), moved);
    assertEquals(43, Instance.readLong(moved, 3L << 30));
    kmalloc.free(moved);
  }

  @Test
  void unaccounted_anyScope_chargesNothing() {
    try (Instance other = Instance.unaccounted()) {
      MemCgroup group = other.root.create("a");
      group.setMax(Instance.PAGE);
      try (Scope scope = other.enter(group)) {
        Kmalloc.Bound bound = other.kmalloc.bind(scope);
        List<Long> objects = new ArrayList<>();
        for (int i = 0; i < 3000; i++) {
          objects.add(i % 2 == 0 ? bound.allocate(64) : other.kmalloc.allocate(100));
        }
        objects.add(bound.allocate(1 << 20));
        objects.add(bound.reallocate(bound.allocate(1 << 18), 1 << 17));
        assertEquals(0, other.root.usage());
        objects.forEach(bound::free);
      }
      other.assertNothingLeft();
    }
  }
}
