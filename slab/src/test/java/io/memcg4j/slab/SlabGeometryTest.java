package io.memcg4j.slab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemCgroup;
import org.junit.jupiter.api.Test;

/** How objects lie in a slab: everything that the walks derive by multiplication and masks. */
final class SlabGeometryTest {
  private static final long BASE = 0x7000_0000_0000L;

  private interface Each {
    void accept(SlabGeometry geometry);
  }

  /** All strides that a cache can have, the size classes among them. */
  private static void forAllStrides(Each each) {
    for (int stride = 8; stride <= Kmalloc.MAX_CACHE_SIZE; stride += 8) {
      each.accept(SlabGeometry.of(7, stride));
    }
  }

  @Test
  void of_anyStride_fillsTheSlab() {
    forAllStrides(geometry -> {
      String what = geometry.toString();
      long slabBytes = (long) geometry.nrChunks() << SlabGeometry.CHUNK_SHIFT;
      long wordBytes = (long) geometry.objectsPerWord() * geometry.objectSize();
      assertTrue(geometry.usableBytes() <= slabBytes, what);
      assertTrue(
          geometry.nrWords() == SlabGeometry.MAX_WORDS
              || slabBytes - geometry.usableBytes() < wordBytes,
          what);
      assertTrue(slabBytes - geometry.usableBytes() <= slabBytes / 5, what);
      assertTrue(geometry.nrWords() >= 1 && geometry.nrWords() <= SlabGeometry.MAX_WORDS, what);
      assertTrue(geometry.nrWords() * geometry.objectsPerWord() >= 8, what);
    });
  }

  /** What a tenant with one object of a class keeps others from. */
  @Test
  void of_anyStride_wordIsAtMostAPageOrAFewObjectsInAFewPages() {
    forAllStrides(geometry -> {
      long wordBytes = (long) geometry.objectsPerWord() * geometry.objectSize();
      long slabBytes = (long) geometry.nrChunks() << SlabGeometry.CHUNK_SHIFT;
      assertTrue(
          wordBytes <= MemCgroup.PAGE_SIZE
              || (wordBytes <= 4 * MemCgroup.PAGE_SIZE && geometry.objectsPerWord() <= 8)
              || (((wordBytes <= 16 * MemCgroup.PAGE_SIZE && geometry.objectsPerWord() <= 16)
                      || (wordBytes <= 2 * MemCgroup.PAGE_SIZE && geometry.objectsPerWord() <= 32))
                  && slabBytes - geometry.usableBytes() <= slabBytes / 32),
          geometry::toString);
      assertTrue(geometry.objectsPerWord() <= 64, geometry::toString);
      assertEquals(
          geometry.objectsPerWord(), Long.bitCount(geometry.wordMask()), geometry::toString);
      assertEquals(geometry.nrWords(), Long.bitCount(geometry.allWords()), geometry::toString);
    });
  }

  @Test
  void isObject_everyOffsetOfEverySizeClass_isExact() {
    for (int i = 0; i < SizeClasses.COUNT; i++) {
      checkEveryOffset(SlabGeometry.of(i, SizeClasses.size(i)), 1);
    }
  }

  @Test
  void isObject_everyOffsetOfEveryStride_isExact() {
    // All multiples of 8, and the bytes around objects.
    forAllStrides(geometry -> checkEveryOffset(geometry, 8));
    forAllStrides(geometry -> {
      Slab slab = new Slab(geometry, 0, geometry.nrChunks(), BASE, false);
      for (long o = 0; o < geometry.usableBytes(); o += geometry.objectSize()) {
        assertTrue(slab.isObject(BASE + o), geometry::toString);
        assertTrue(!slab.isObject(BASE + o + 1), geometry::toString);
        assertTrue(!slab.isObject(BASE + o + geometry.objectSize() - 1), geometry::toString);
      }
    });
  }

  private static void checkEveryOffset(SlabGeometry geometry, int step) {
    Slab slab = new Slab(geometry, 0, geometry.nrChunks(), BASE, false);
    long slabBytes = (long) geometry.nrChunks() << SlabGeometry.CHUNK_SHIFT;
    int size = geometry.objectSize();
    for (long offset = 0; offset < slabBytes; offset += step) {
      boolean isObject = offset % size == 0 && offset < geometry.usableBytes();
      if (slab.isObject(BASE + offset) != isObject) {
        throw new AssertionError("offset=" + offset + " " + geometry);
      }
      if (isObject && slab.indexOf(BASE + offset) != offset / size) {
        throw new AssertionError("offset=" + offset + " " + geometry);
      }
    }
  }

  @Test
  void wordAndBit_everyObject_leadBackToItsAddress() {
    for (int i = 0; i < SizeClasses.COUNT; i++) {
      SlabGeometry geometry = SlabGeometry.of(i, SizeClasses.size(i));
      Slab slab = new Slab(geometry, 3, geometry.nrChunks(), BASE, false);
      long address = BASE;
      for (Word word : slab.words) {
        for (long bits = geometry.wordMask(); bits != 0; bits &= bits - 1) {
          int index = slab.indexOf(address);
          assertEquals(word, slab.wordOf(index));
          assertEquals(bits & -bits, slab.bitOf(index));
          assertEquals(
              address,
              word.base() + (long) Long.numberOfTrailingZeros(bits) * geometry.objectSize());
          address += geometry.objectSize();
        }
      }
      assertEquals(BASE + geometry.usableBytes(), address);
    }
  }

  /** The free of a large object must never take the path of small ones. */
  @Test
  void isObject_largeRun_isFalse() {
    try (Instance instance = Instance.create()) {
      long address = instance.kmalloc.allocate(1 << 20);
      Slab slab = instance.allocator().slabOf(address);
      assertTrue(slab.large);
      for (long offset : new long[] {0, 1, 8, 4096, (1 << 20) - 8}) {
        assertTrue(!slab.isObject(address + offset));
      }
      instance.kmalloc.free(address);
    }
  }
}
