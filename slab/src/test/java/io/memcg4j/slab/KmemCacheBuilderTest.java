package io.memcg4j.slab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.Scope;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemoryLayout.PathElement;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What a cache can be made of: names, layouts, flags, merges. */
final class KmemCacheBuilderTest {
  private static final MemoryLayout SESSION =
      MemoryLayout.structLayout(
          ValueLayout.JAVA_LONG.withName("id"),
          ValueLayout.JAVA_INT.withName("state"),
          ValueLayout.JAVA_SHORT.withName("port"),
          MemoryLayout.paddingLayout(2),
          MemoryLayout.sequenceLayout(4, ValueLayout.JAVA_LONG).withName("counts"));

  private final Instance instance = Instance.create();
  private final Kmalloc kmalloc = instance.kmalloc;

  // ---- names

  @Test
  void build_nameOfAnOpenCache_isRefusedAndNamesBoth() {
    KmemCache first = KmemCache.create(kmalloc, "sessions", 40);
    IllegalArgumentException e =
        assertThrows(
            IllegalArgumentException.class, () -> KmemCache.create(kmalloc, "sessions", 48));
    assertEquals(
        "cache name in use: name=sessions objectSize=48 by=sessions objectSize=40", e.getMessage());
    first.close();
    KmemCache.create(kmalloc, "sessions", 48).close();
    instance.close();
  }

  @Test
  void build_nameOfAKmallocClass_isRefused() {
    for (String name : List.of("kmalloc-8", "kmalloc-64", "kmalloc-8192")) {
      assertThrows(IllegalArgumentException.class, () -> KmemCache.create(kmalloc, name, 64));
    }
    for (int i = 0; i < SizeClasses.COUNT; i++) {
      SlabCache cache = instance.allocator().caches().kmalloc(i);
      assertEquals("kmalloc-" + SizeClasses.size(i), cache.name());
      assertEquals(i, cache.index());
    }
    instance.close();
  }

  @Test
  void build_withoutSize_isRefused() {
    IllegalArgumentException e =
        assertThrows(IllegalArgumentException.class, () -> KmemCache.builder(kmalloc, "c").build());
    assertTrue(e.getMessage().contains("objectSize=0 legal=1..8192"), e::getMessage);
    instance.close();
    assertThrows(IllegalStateException.class, () -> KmemCache.create(kmalloc, "c", 8));
  }

  // ---- layout

  @Test
  void layout_fields_areReadAndWrittenByAddress() {
    KmemCache cache = KmemCache.builder(kmalloc, "sessions").layout(SESSION).build();
    assertEquals(48, cache.objectSize());
    VarHandle id = cache.varHandle(PathElement.groupElement("id"));
    VarHandle port = cache.varHandle(PathElement.groupElement("port"));
    VarHandle count =
        cache.varHandle(PathElement.groupElement("counts"), PathElement.sequenceElement());
    assertEquals(List.of(long.class), id.coordinateTypes());
    assertEquals(List.of(long.class, long.class), count.coordinateTypes());
    long a = cache.allocateZeroed();
    long b = cache.allocateZeroed();
    id.set(a, 1L << 40);
    port.set(b, (short) -7);
    count.set(b, 3L, 99L);
    assertEquals(1L << 40, Instance.readLong(a, 0));
    assertEquals(0L, (long) id.get(b));
    assertEquals((short) -7, (short) port.get(b));
    assertEquals(99L, Instance.readLong(b, 40));
    assertTrue(id.compareAndSet(a, 1L << 40, 2L));
    assertThrows(IndexOutOfBoundsException.class, () -> count.set(b, 4L, 1L));
    assertThrows(
        IllegalArgumentException.class, () -> cache.varHandle(PathElement.groupElement("none")));
    cache.free(a);
    cache.free(b);
    cache.close();
    instance.close();
  }

  @Test
  void segment_isBoundedToTheObject() {
    KmemCache cache = KmemCache.create(kmalloc, "c", 41);
    long address = cache.allocate();
    MemorySegment segment = cache.segment(address);
    assertEquals(41, segment.byteSize());
    assertEquals(address, segment.address());
    segment.set(ValueLayout.JAVA_BYTE, 40, (byte) 5);
    assertEquals(5, Instance.read(address, 40));
    assertThrows(
        IndexOutOfBoundsException.class, () -> segment.set(ValueLayout.JAVA_BYTE, 41, (byte) 5));
    assertThrows(IllegalStateException.class, cache::varHandle);
    cache.free(address);
    cache.close();
    instance.close();
  }

  @Test
  void layout_alignment_isTheLayouts() {
    MemoryLayout wide = MemoryLayout.structLayout(ValueLayout.JAVA_LONG).withByteAlignment(128);
    KmemCache cache = KmemCache.builder(kmalloc, "wide").layout(wide).build();
    assertEquals(128, cache.info().alignment());
    assertEquals(128, cache.info().strideBytes());
    VarHandle value = cache.varHandle(PathElement.groupElement(0));
    for (int i = 0; i < 100; i++) {
      long address = cache.allocate();
      value.set(address, 3L); // throws if it is not aligned
      cache.free(address);
    }
    cache.close();
    MemoryLayout tooWide = ValueLayout.JAVA_LONG.withByteAlignment(16_384);
    assertThrows(
        IllegalArgumentException.class,
        () -> KmemCache.builder(kmalloc, "wide").layout(tooWide).build());
    instance.close();
  }

  // ---- flags

  @ParameterizedTest
  @CsvSource({
    "1, 8, 8",
    "8, 8, 8",
    "9, 16, 16",
    "16, 16, 16",
    "17, 32, 32",
    "32, 32, 32",
    "33, 64, 64",
    "64, 64, 64",
    "65, 64, 128",
    "1000, 64, 1024"
  })
  void hwcacheAlign_size_isAlignedToTheSmallestPartOfALine(int size, int alignment, int stride) {
    KmemCache cache = KmemCache.builder(kmalloc, "c").size(size).hwcacheAlign(true).build();
    KmemCacheInfo info = cache.info();
    assertTrue(info.hwcacheAligned());
    assertEquals(alignment, info.alignment());
    assertEquals(stride, info.strideBytes());
    long address = cache.allocate();
    assertEquals(0, address % alignment);
    cache.free(address);
    cache.close();
    instance.close();
  }

  @Test
  void accounted_off_nobodyPays() throws Exception {
    KmemCache cache = KmemCache.builder(kmalloc, "c").size(500).accounted(false).build();
    MemCgroup group = instance.root.create("a");
    group.setMax(Instance.PAGE);
    long[] objects = new long[1000];
    try (Scope _ = instance.enter(group)) {
      for (int i = 0; i < objects.length; i++) {
        objects[i] = cache.allocate();
      }
      for (int i = 0; i < 300; i++) {
        cache.free(objects[i]);
      }
    }
    assertEquals(0, instance.drainedUsage(instance.root));
    assertEquals(700, cache.info().nrObjects());
    assertFalse(cache.info().accounted());
    Instance.elsewhere(() -> {
      for (int i = 300; i < objects.length; i++) {
        cache.free(objects[i]);
      }
      return 0;
    });
    assertEquals(0, instance.drainedUsage(instance.root));
    cache.close();
    instance.assertNothingLeft();
    instance.close();
  }

  @Test
  void info_flags_areTold() {
    KmemCache cache =
        KmemCache.builder(kmalloc, "inodes")
            .size(600)
            .reclaimAccount(true)
            .typesafe(true)
            .constructor(a -> Instance.write(a, 0, 1))
            .build();
    long address = cache.allocate();
    KmemCacheInfo info = cache.info();
    assertEquals(List.of("inodes"), info.names());
    assertTrue(info.reclaimAccount() && info.typesafe() && info.hasConstructor());
    assertEquals(1, info.nrObjects());
    assertTrue(info.nrSlabs() >= 1);
    assertEquals(
        info.mappedBytes(), kmalloc.info().mappedBytes(), "all that is mapped is this cache's");
    assertTrue(
        (long) info.objectsPerSlab() * info.strideBytes() <= info.mappedBytes() / info.nrSlabs(),
        info::toString);
    cache.free(address);
    cache.close();
    instance.close();
  }

  // ---- merges

  @Test
  void mergeable_sameKind_sharesSlabsUntilTheLastCloses() {
    KmemCache first = KmemCache.builder(kmalloc, "a").size(60).mergeable(true).build();
    KmemCache second = KmemCache.builder(kmalloc, "b").size(62).mergeable(true).build();
    assertEquals(List.of("a", "b"), first.info().names());
    assertEquals(62, first.info().objectSize());
    assertEquals(60, first.objectSize());
    long address = first.allocate();
    second.free(address); // the same cache, so not a wrong one
    assertThrows(IllegalArgumentException.class, () -> KmemCache.create(kmalloc, "b", 8));
    long left = first.allocate();
    first.close();
    assertEquals(List.of("b"), second.info().names());
    assertThrows(IllegalStateException.class, first::allocate);
    assertThrows(IllegalStateException.class, second::close);
    second.free(left);
    second.close();
    KmemCache.create(kmalloc, "a", 8).close();
    KmemCache.create(kmalloc, "b", 8).close();
    instance.assertNothingLeft();
    instance.close();
  }

  @Test
  void mergeable_otherKind_isACacheOfItsOwn() {
    KmemCache host = KmemCache.builder(kmalloc, "host").size(64).mergeable(true).build();
    List<KmemCache.Builder> others =
        List.of(
            KmemCache.builder(kmalloc, "plain").size(64),
            KmemCache.builder(kmalloc, "larger").size(65).mergeable(true),
            KmemCache.builder(kmalloc, "smaller").size(56).mergeable(true),
            KmemCache.builder(kmalloc, "aligned").size(64).alignment(128).mergeable(true),
            KmemCache.builder(kmalloc, "free").size(64).accounted(false).mergeable(true),
            KmemCache.builder(kmalloc, "rcl").size(64).reclaimAccount(true).mergeable(true),
            KmemCache.builder(kmalloc, "safe").size(64).typesafe(true).mergeable(true),
            KmemCache.builder(kmalloc, "safe2").size(64).typesafe(true).mergeable(true),
            KmemCache.builder(kmalloc, "made").size(64).constructor(a -> {}).mergeable(true));
    for (KmemCache.Builder builder : others) {
      KmemCache other = builder.build();
      assertEquals(List.of(other.name()), other.info().names());
      long address = host.allocate();
      assertThrows(IllegalArgumentException.class, () -> other.free(address));
      host.free(address);
    }
    assertEquals(List.of("host"), host.info().names());
    instance.close();
  }

  // ---- shrink

  @Test
  void shrink_emptyAndOtherCaches_givesBackItsOwnOnly() {
    KmemCache cache = KmemCache.create(kmalloc, "c", 256);
    KmemCache other = KmemCache.create(kmalloc, "d", 256);
    for (KmemCache each : List.of(cache, other)) {
      long[] objects = new long[2000];
      each.allocateBulk(objects, 0, objects.length);
      each.freeBulk(objects, 0, objects.length);
    }
    long mapped = cache.info().mappedBytes();
    long others = other.info().mappedBytes();
    assertTrue(mapped > 0);
    assertEquals(mapped, cache.shrink());
    assertEquals(0, cache.info().mappedBytes());
    assertEquals(others, other.info().mappedBytes());
    assertEquals(0, cache.shrink());
    instance.close();
  }
}
