package io.memcg4j.slab;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.ScopeFrame;
import java.lang.foreign.MemorySegment;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** The general forms of {@link Kmalloc}: from a size to a class, or to whole pages. */
final class SizedAllocator {
  private static final long MAX_REQUEST_BYTES = MemCgroup.MAX_REQUEST_PAGES << MemCgroup.PAGE_SHIFT;
  private static final int MIN_ALIGNMENT = 8;

  private final SlabAllocator allocator;
  private final SlabGeometry[] classes = new SlabGeometry[SizeClasses.COUNT];

  SizedAllocator(SlabAllocator allocator) {
    this.allocator = allocator;
    for (int i = 0; i < classes.length; i++) {
      classes[i] = allocator.caches().kmalloc(i).geometry();
    }
  }

  SlabGeometry geometry(int index) {
    return classes[index];
  }

  /** Whether it is 1 to the largest class, in one comparison. */
  static boolean isClassSize(long nrBytes) {
    return Long.compareUnsigned(nrBytes - 1, SizeClasses.MAX_SIZE) < 0;
  }

  long allocate(@Nullable ScopeFrame scope, long nrBytes, int flags) {
    if (!isClassSize(nrBytes)) {
      if (nrBytes == 0) {
        return Kmalloc.ZERO_SIZE;
      }
      checkSize(nrBytes);
      return allocator.allocate(scope, null, nrBytes, 1, flags);
    }
    return allocator.allocate(scope, classes[SizeClasses.index((int) nrBytes)], nrBytes, 1, flags);
  }

  void checkSize(long nrBytes) {
    long limit = Math.min(allocator.range().rangeBytes(), MAX_REQUEST_BYTES);
    if (nrBytes < 0 || nrBytes > limit) {
      throw new IllegalArgumentException(
          String.format(Locale.ROOT, "size out of range: nrBytes=%d legal=0..%d", nrBytes, limit));
    }
  }

  long allocateAligned(@Nullable ScopeFrame scope, long nrBytes, long alignment, int flags) {
    long limit = allocator.range().rangeBytes();
    if (alignment < 1 || alignment > limit || Long.bitCount(alignment) != 1) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "alignment out of range: alignment=%d legal=power of two 1..%d",
              alignment,
              limit));
    }
    if (nrBytes <= 0 || alignment <= MIN_ALIGNMENT) {
      return allocate(scope, nrBytes, flags);
    }
    if (nrBytes <= SizeClasses.MAX_SIZE) {
      // Slabs are aligned to a chunk, so an object is aligned to what divides its size.
      for (int i = SizeClasses.index((int) nrBytes); i < SizeClasses.COUNT; i++) {
        if ((SizeClasses.size(i) & (alignment - 1)) == 0) {
          return allocator.allocate(scope, classes[i], nrBytes, 1, flags);
        }
      }
    }
    checkSize(nrBytes);
    int alignChunks = (int) Math.max(1, alignment >>> SlabGeometry.CHUNK_SHIFT);
    return allocator.allocate(scope, null, nrBytes, alignChunks, flags);
  }

  long reallocate(@Nullable ScopeFrame scope, long address, long nrBytes, int flags) {
    if (isNothing(address)) {
      return allocate(scope, nrBytes, flags);
    }
    long oldSize = allocator.usableSize(address);
    if (nrBytes == 0) {
      allocator.free(scope, address, -1);
      return Kmalloc.ZERO_SIZE;
    }
    checkSize(nrBytes);
    if (allocator.resize(scope, address, nrBytes)) {
      return address;
    }
    long moved = allocate(scope, nrBytes, flags | SlabAllocator.GROWING);
    if (moved != Kmalloc.NULL) {
      MemorySegment.copy(Mmap.MEMORY, address, Mmap.MEMORY, moved, Math.min(oldSize, nrBytes));
      allocator.free(scope, address, -1);
    }
    return moved;
  }

  void free(@Nullable ScopeFrame scope, long address) {
    if (!isNothing(address)) {
      allocator.free(scope, address, -1);
    }
  }

  static boolean isNothing(long address) {
    return address == Kmalloc.NULL || address == Kmalloc.ZERO_SIZE;
  }
}
