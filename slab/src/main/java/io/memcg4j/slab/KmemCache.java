package io.memcg4j.slab;

import io.memcg4j.memcg.MemoryLimitException;
import io.memcg4j.objcg.Scope;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * Objects of one size, from slabs of their own, charged like those of {@link Kmalloc}.
 *
 * <p>Thread-safe. Origin: kmem_cache_create, kmem_cache_alloc and kmem_cache_free of Linux.
 */
public final class KmemCache implements AutoCloseable {
  private static final int MIN_ALIGNMENT = 8;

  private final Kmalloc kmalloc;
  private final SlabAllocator allocator;
  private final String name;
  private final int objectSize;
  private final SlabGeometry geometry;
  private volatile boolean closed;

  private KmemCache(Kmalloc kmalloc, String name, int objectSize, SlabGeometry geometry) {
    this.kmalloc = kmalloc;
    this.allocator = kmalloc.allocator();
    this.name = name;
    this.objectSize = objectSize;
    this.geometry = geometry;
  }

  /**
   * A cache of objects aligned to 8 bytes.
   *
   * @param kmalloc whose address range the slabs are taken from
   * @param name for reports; not empty, no white space
   * @param objectSize {@code 1..}{@link Kmalloc#MAX_CACHE_SIZE} bytes
   * @return a new cache
   * @throws IllegalArgumentException if the name or the size is not legal
   */
  public static KmemCache create(Kmalloc kmalloc, String name, int objectSize) {
    return create(kmalloc, name, objectSize, MIN_ALIGNMENT);
  }

  /**
   * A cache of aligned objects.
   *
   * @param kmalloc whose address range the slabs are taken from
   * @param name for reports; not empty, no white space
   * @param objectSize {@code 1..}{@link Kmalloc#MAX_CACHE_SIZE} bytes
   * @param alignment power of two, {@code 1..}{@link Kmalloc#MAX_CACHE_SIZE}; at least 8 is given
   * @return a new cache
   * @throws IllegalArgumentException if the name, the size or the alignment is not legal
   */
  public static KmemCache create(Kmalloc kmalloc, String name, int objectSize, int alignment) {
    if (name.isEmpty() || name.chars().anyMatch(Character::isWhitespace)) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "cache name not legal: name='%s' legal=not empty, no white space",
              name));
    }
    if (objectSize < 1 || objectSize > Kmalloc.MAX_CACHE_SIZE) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "object size out of range: cache=%s objectSize=%d legal=1..%d",
              name,
              objectSize,
              Kmalloc.MAX_CACHE_SIZE));
    }
    if (alignment < 1 || alignment > Kmalloc.MAX_CACHE_SIZE || Integer.bitCount(alignment) != 1) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "alignment out of range: cache=%s alignment=%d legal=power of two 1..%d",
              name,
              alignment,
              Kmalloc.MAX_CACHE_SIZE));
    }
    int step = Math.max(alignment, MIN_ALIGNMENT);
    int stride = (objectSize + step - 1) & -step;
    SlabGeometry geometry = SlabGeometry.of(kmalloc.allocator().newCacheNumber(), stride);
    return new KmemCache(kmalloc, name, objectSize, geometry);
  }

  /**
   * Name for reports.
   *
   * @return as given
   */
  public String name() {
    return name;
  }

  /**
   * Usable bytes of an object.
   *
   * @return as given
   */
  public int objectSize() {
    return objectSize;
  }

  /**
   * What one object is charged: its stride and its share of the metadata.
   *
   * @return bytes
   */
  public int chargeBytes() {
    return geometry.chargeBytes();
  }

  /**
   * Allocates an object with undefined content.
   *
   * @return its address
   * @throws MemoryLimitException if a limit, or the OS, refuses
   * @throws IllegalStateException if the cache is closed
   */
  public long allocate() {
    return allocate(0);
  }

  /**
   * As {@link #allocate()}, but a refusal is a value.
   *
   * @return the address, or {@link Kmalloc#NULL} if refused
   * @throws IllegalStateException if the cache is closed
   */
  public long tryAllocate() {
    return allocate(SlabAllocator.MAY_FAIL);
  }

  /**
   * Allocates an object whose bytes are zero.
   *
   * @return its address
   * @throws MemoryLimitException if a limit, or the OS, refuses
   * @throws IllegalStateException if the cache is closed
   */
  public long allocateZeroed() {
    long address = allocate();
    SlabAllocator.zero(address, objectSize);
    return address;
  }

  private long allocate(int flags) {
    if (closed) {
      throw new IllegalStateException("cache is closed: cache=" + name);
    }
    Scope scope = allocator.registry().currentScope();
    Magazines magazines = armed(scope);
    if (magazines != null) {
      long address = magazines.get(geometry.cacheIndex()).allocate();
      if (address != SlabAllocator.NULL) {
        return address;
      }
    }
    return allocator.allocate(scope, geometry, objectSize, 1, flags);
  }

  private @Nullable Magazines armed(@Nullable Scope scope) {
    return scope != null && scope.slot().isArmed(scope.token())
        ? allocator.armedMagazines(scope)
        : null;
  }

  /**
   * Frees an object of this cache. Any thread, any scope.
   *
   * @param address an allocated object of this cache; {@link Kmalloc#NULL} does nothing
   * @throws IllegalArgumentException if it is not an allocated object of this cache; nothing is
   *     changed
   */
  public void free(long address) {
    if (address != Kmalloc.NULL) {
      allocator.free(allocator.registry().currentScope(), address, geometry.cacheIndex());
    }
  }

  /**
   * Destroys the cache and gives its memory back.
   *
   * @throws IllegalStateException if objects are still allocated: they are reported, and the cache
   *     stays as it is
   */
  @Override
  public void close() {
    kmalloc.shrink();
    long nrLive = LiveObjects.count(allocator, geometry.cacheIndex());
    if (nrLive > 0) {
      throw new IllegalStateException(
          String.format(
              Locale.ROOT,
              "cache closed with live objects: cache=%s nrObjects=%d %s",
              name,
              nrLive,
              LiveObjects.report(allocator, geometry.cacheIndex())));
    }
    closed = true;
  }
}
