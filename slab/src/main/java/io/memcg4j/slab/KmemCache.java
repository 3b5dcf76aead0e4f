package io.memcg4j.slab;

import io.memcg4j.memcg.MemoryLimitException;
import io.memcg4j.objcg.Scope;
import io.memcg4j.objcg.ScopeFrame;
import io.memcg4j.percpu.CpuSlot;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.Locale;
import java.util.Objects;
import java.util.function.Consumer;
import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;

/**
 * Objects of one kind, from slabs of their own, charged like those of {@link Kmalloc}.
 *
 * <p>A cache has a size or a layout, a name for reports, and if wanted a constructor and flags: see
 * {@link Builder}. Unlike the kernel's, caches do not share slabs unless both ask for it ({@link
 * Builder#mergeable}): an object that is freed to the wrong cache is found, and reports name the
 * cache that was meant.
 *
 * <p>Thread-safe. Origin: kmem_cache_create, kmem_cache_alloc and kmem_cache_free of Linux.
 */
public final class KmemCache implements AutoCloseable {
  private static final int MIN_ALIGNMENT = 8;
  private static final int CACHE_LINE_BYTES = 64;

  private final SlabAllocator allocator;
  private final String name;
  private final int objectSize;
  private final @Nullable MemoryLayout layout;
  private final SlabCache cache;
  private final SlabGeometry geometry;
  private final int index;
  private final @Nullable Constructor constructor;
  private final boolean accounted;
  private volatile boolean closed;

  private KmemCache(Builder builder, int objectSize, SlabCache cache) {
    this.allocator = builder.kmalloc.allocator();
    this.name = builder.name;
    this.objectSize = objectSize;
    this.layout = builder.layout;
    this.cache = cache;
    this.geometry = cache.geometry();
    this.index = cache.index();
    this.constructor = cache.constructor();
    this.accounted = cache.flags().accounted();
  }

  /**
   * A cache of objects aligned to 8 bytes.
   *
   * @param kmalloc whose address range the slabs are taken from
   * @param name for reports; not empty, no white space, of no other open cache
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
   * @param name for reports; not empty, no white space, of no other open cache
   * @param objectSize {@code 1..}{@link Kmalloc#MAX_CACHE_SIZE} bytes
   * @param alignment power of two, {@code 1..}{@link Kmalloc#MAX_CACHE_SIZE}; at least 8 is given
   * @return a new cache
   * @throws IllegalArgumentException if the name, the size or the alignment is not legal
   */
  public static KmemCache create(Kmalloc kmalloc, String name, int objectSize, int alignment) {
    return builder(kmalloc, name).size(objectSize).alignment(alignment).build();
  }

  /**
   * A builder for a cache; its size or its layout has to be given.
   *
   * @param kmalloc whose address range the slabs are taken from
   * @param name for reports; not empty, no white space, of no other open cache
   * @return a builder of an accounted cache without constructor, aligned to 8 bytes
   */
  public static Builder builder(Kmalloc kmalloc, String name) {
    return new Builder(kmalloc, name);
  }

  /**
   * What a cache shall be. Values are looked at by {@link #build}. Not thread-safe.
   *
   * <p>Origin: kmem_cache_args and the SLAB_ flags of Linux; a failure is always an exception.
   */
  public static final class Builder {
    private final Kmalloc kmalloc;
    private final String name;
    private long size;
    private long alignment = 1;
    private @Nullable MemoryLayout layout;
    private @Nullable LongConsumer constructor;
    private boolean accounted = true;
    private boolean hwcacheAligned;
    private boolean reclaimAccount;
    private boolean typesafe;
    private boolean mergeable;

    private Builder(Kmalloc kmalloc, String name) {
      this.kmalloc = Objects.requireNonNull(kmalloc, "kmalloc");
      this.name = Objects.requireNonNull(name, "name");
    }

    /**
     * Size of an object. The last call of this and {@link #layout} counts.
     *
     * @param objectSize {@code 1..}{@link Kmalloc#MAX_CACHE_SIZE} bytes
     * @return this
     */
    public Builder size(int objectSize) {
      this.size = objectSize;
      this.layout = null;
      return this;
    }

    /**
     * Size, alignment and fields of an object: see {@link KmemCache#varHandle}.
     *
     * @param objectLayout of {@code 1..}{@link Kmalloc#MAX_CACHE_SIZE} bytes
     * @return this
     */
    public Builder layout(MemoryLayout objectLayout) {
      this.size = objectLayout.byteSize();
      this.layout = objectLayout;
      return this;
    }

    /**
     * Least alignment of objects.
     *
     * @param nrBytes power of two, {@code 1..}{@link Kmalloc#MAX_CACHE_SIZE}; at least 8 is given,
     *     and what the layout asks for
     * @return this
     */
    public Builder alignment(int nrBytes) {
      this.alignment = nrBytes;
      return this;
    }

    /**
     * What brings an object into its first state. It runs on the thread that allocates, once before
     * an object is handed out for the first time, and again after its memory was given back to the
     * OS. Frees leave the content alone, so whoever frees an object brings it back into that state.
     *
     * <p>It may allocate, but not from this cache: that throws {@link IllegalStateException}. If it
     * throws, so does the allocation, and the object is free and not constructed.
     *
     * @param action takes the address of an object whose content is undefined
     * @return this
     */
    public Builder constructor(LongConsumer action) {
      this.constructor = Objects.requireNonNull(action, "action");
      return this;
    }

    /**
     * As {@link #constructor} for an action that takes a segment.
     *
     * @param action takes the object, bounded to its size
     * @return this
     */
    public Builder segmentConstructor(Consumer<MemorySegment> action) {
      Objects.requireNonNull(action, "action");
      this.constructor = address -> action.accept(Kmalloc.MEMORY.asSlice(address, size));
      return this;
    }

    /**
     * Whether objects are charged to the scope's group, the default. Else nobody pays for them, as
     * for those allocated outside any scope.
     *
     * @param on true to charge
     * @return this
     */
    public Builder accounted(boolean on) {
      this.accounted = on;
      return this;
    }

    /**
     * Whether an object shall span no more cache lines than it must: aligned to 64 bytes, or to the
     * half, quarter … of that which the object still fits into.
     *
     * @param on false by default
     * @return this
     */
    public Builder hwcacheAlign(boolean on) {
      this.hwcacheAligned = on;
      return this;
    }

    /**
     * Whether the slabs count as memory that reclaim could get back. Told by {@link
     * KmemCacheInfo#reclaimAccount}; changes nothing else.
     *
     * @param on false by default
     * @return this
     */
    public Builder reclaimAccount(boolean on) {
      this.reclaimAccount = on;
      return this;
    }

    /**
     * Whether memory that held an object keeps holding objects of this cache, allocated or free,
     * until all {@link ReadSection}s that were open when its slab became empty have been closed.
     * Objects themselves are reused at once: a reader has to find out whether it still looks at the
     * one that it wanted.
     *
     * @param on false by default
     * @return this
     */
    public Builder typesafe(boolean on) {
      this.typesafe = on;
      return this;
    }

    /**
     * Whether this cache may share slabs with another mergeable one of this allocator: with the
     * same flags, neither typesafe nor with a constructor, less than 8 bytes larger, and suitably
     * aligned. Its objects are then that cache's, and cannot be told from them.
     *
     * @param on false by default
     * @return this
     */
    public Builder mergeable(boolean on) {
      this.mergeable = on;
      return this;
    }

    /**
     * Makes the cache.
     *
     * @return a new cache
     * @throws IllegalArgumentException if the name, the size or the alignment is not legal, or if
     *     an open cache has that name
     * @throws IllegalStateException if the allocator is closed
     */
    public KmemCache build() {
      SlabAllocator allocator = kmalloc.allocator();
      allocator.checkOpen();
      if (name.isEmpty() || name.chars().anyMatch(Character::isWhitespace)) {
        throw new IllegalArgumentException(
            String.format(
                Locale.ROOT,
                "cache name not legal: name='%s' legal=not empty, no white space",
                name));
      }
      if (size < 1 || size > Kmalloc.MAX_CACHE_SIZE) {
        throw new IllegalArgumentException(
            String.format(
                Locale.ROOT,
                "object size out of range: cache=%s objectSize=%d legal=1..%d",
                name,
                size,
                Kmalloc.MAX_CACHE_SIZE));
      }
      long wanted = Math.max(alignment, layout == null ? 1 : layout.byteAlignment());
      if (alignment < 1 || wanted > Kmalloc.MAX_CACHE_SIZE || Long.bitCount(alignment) != 1) {
        throw new IllegalArgumentException(
            String.format(
                Locale.ROOT,
                "alignment out of range: cache=%s alignment=%d legal=power of two 1..%d",
                name,
                alignment < 1 ? alignment : wanted,
                Kmalloc.MAX_CACHE_SIZE));
      }
      int step = Math.max((int) wanted, Math.max(MIN_ALIGNMENT, hwcacheAlignment()));
      CacheFlags flags =
          new CacheFlags(accounted, hwcacheAligned, reclaimAccount, typesafe, mergeable);
      SlabCache cache = allocator.caches().create(name, (int) size, step, flags, constructor);
      return new KmemCache(this, (int) size, cache);
    }

    private int hwcacheAlignment() {
      int line = hwcacheAligned ? CACHE_LINE_BYTES : 1;
      while (line > 1 && size <= line / 2) {
        line /= 2;
      }
      return line;
    }
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

  // ---- fields

  /**
   * Access to a field of the layout by the address of the object: {@code (long) SIZE.get(address)}.
   * The address is not checked: it has to be an object of this cache, as with {@link
   * Kmalloc#MEMORY}.
   *
   * <p>Keep the handle in a {@code static final} field: then an access costs what one of {@link
   * Kmalloc#MEMORY} costs; from other places it is tens of times slower.
   *
   * @param path to the field, as for {@link MemoryLayout#varHandle}
   * @return a handle whose coordinates are the address, a {@code long}, and an index for each open
   *     element of the path
   * @throws IllegalStateException if the cache was made without a layout
   * @throws IllegalArgumentException if the path is not one of the layout
   */
  public VarHandle varHandle(MemoryLayout.PathElement... path) {
    MemoryLayout objectLayout = layout;
    if (objectLayout == null) {
      throw new IllegalStateException("cache has no layout: cache=" + name);
    }
    return MethodHandles.insertCoordinates(objectLayout.varHandle(path), 0, Kmalloc.MEMORY);
  }

  /**
   * An object as a segment, bounded to the object's size. It knows nothing of the object's life.
   *
   * @param address an object of this cache; not checked
   * @return a native segment of {@link #objectSize} bytes
   */
  public MemorySegment segment(long address) {
    return Kmalloc.MEMORY.asSlice(address, objectSize);
  }

  // ---- allocate

  /**
   * Allocates an object: as its constructor or its last user left it, or with undefined content.
   *
   * @return its address
   * @throws MemoryLimitException if a limit, or the OS, refuses
   * @throws IllegalStateException if the cache is closed, or called by its constructor
   */
  public long allocate() {
    return allocate(0);
  }

  /**
   * As {@link #allocate()}, but a refusal is a value.
   *
   * @return the address, or {@link Kmalloc#NULL} if refused
   * @throws IllegalStateException if the cache is closed, or called by its constructor
   */
  public long tryAllocate() {
    return allocate(SlabAllocator.MAY_FAIL);
  }

  /**
   * Allocates an object whose bytes are zero.
   *
   * @return its address
   * @throws MemoryLimitException if a limit, or the OS, refuses
   * @throws IllegalStateException if the cache is closed, or has a constructor, whose work would be
   *     undone
   */
  public long allocateZeroed() {
    if (constructor != null) {
      throw new IllegalStateException("zeroed object of a cache with a constructor: cache=" + name);
    }
    long address = allocate();
    SlabAllocator.zero(address, objectSize);
    return address;
  }

  private long allocate(int flags) {
    Constructor init = constructor;
    if (init == null) {
      return allocateRaw(flags);
    }
    init.refuseWhileRunning();
    long address = allocateRaw(flags);
    if (address != SlabAllocator.NULL) {
      init.construct(allocator, address);
    }
    return address;
  }

  private long allocateRaw(int flags) {
    checkOpen();
    Magazines magazines = allocator.armedMagazines(accounted);
    if (magazines != null) {
      long address = magazines.get(index).allocate();
      if (address == SlabAllocator.NULL) {
        // What a limit refuses is left to the slow path, so that it is asked, and counts, once.
        address = magazines.home().allocate(magazines, geometry, SlabAllocator.NO_SEEK);
      }
      if (address != SlabAllocator.NULL) {
        return address;
      }
    }
    ScopeFrame scope = allocator.registry().currentScope();
    return allocator.allocate(scope, geometry, objectSize, 1, flagsFor(flags));
  }

  private int flagsFor(int flags) {
    return accounted ? flags : flags | SlabAllocator.UNACCOUNTED;
  }

  private void checkOpen() {
    if (closed) {
      throw new IllegalStateException("cache is closed: cache=" + name);
    }
  }

  /**
   * Allocates many objects, or none.
   *
   * @param into where their addresses go
   * @param from index of the first one
   * @param count how many, at least 0
   * @throws MemoryLimitException if a limit, or the OS, refuses: nothing is charged, and {@code
   *     into} holds {@link Kmalloc#NULL} or what it held
   * @throws IndexOutOfBoundsException if {@code into} has no such range
   * @throws IllegalStateException if the cache is closed, or called by its constructor
   */
  public void allocateBulk(long[] into, int from, int count) {
    allocateBulk(into, from, count, 0);
  }

  /**
   * As {@link #allocateBulk}, but a refusal is a value.
   *
   * @param into where their addresses go
   * @param from index of the first one
   * @param count how many, at least 0
   * @return whether all were allocated; if not, none is
   * @throws IndexOutOfBoundsException if {@code into} has no such range
   * @throws IllegalStateException if the cache is closed, or called by its constructor
   */
  public boolean tryAllocateBulk(long[] into, int from, int count) {
    return allocateBulk(into, from, count, SlabAllocator.MAY_FAIL);
  }

  private boolean allocateBulk(long[] into, int from, int count, int flags) {
    Objects.checkFromIndexSize(from, count, into.length);
    checkOpen();
    Constructor init = constructor;
    if (init != null) {
      init.refuseWhileRunning();
    }
    ScopeFrame scope = allocator.registry().currentScope();
    BulkAllocator bulk = new BulkAllocator(allocator, cache);
    if (!bulk.allocate(scope, into, from, count, flagsFor(flags))) {
      return false;
    }
    if (init != null) {
      constructAll(init, bulk, into, from, count);
    }
    return true;
  }

  private void constructAll(
      Constructor init, BulkAllocator bulk, long[] into, int from, int count) {
    int nrConstructed = 0;
    try {
      while (nrConstructed < count) {
        init.construct(allocator, into[from + nrConstructed]);
        nrConstructed++;
      }
    } finally {
      if (nrConstructed < count) {
        into[from + nrConstructed] = Kmalloc.NULL; // the constructor's failure has freed it
        ScopeFrame scope = allocator.registry().currentScope();
        bulk.free(scope, into, from + nrConstructed + 1, count - nrConstructed - 1);
        bulk.free(scope, into, from, nrConstructed);
      }
    }
  }

  // ---- free

  /**
   * Frees an object of this cache. Any thread, any scope.
   *
   * @param address an allocated object of this cache; {@link Kmalloc#NULL} does nothing
   * @throws IllegalArgumentException if it is not an allocated object of this cache; nothing is
   *     changed
   */
  public void free(long address) {
    if (address != Kmalloc.NULL && !freeFast(address)) {
      allocator.free(allocator.registry().currentScope(), address, index);
    }
  }

  private boolean freeFast(long address) {
    Magazines magazines = allocator.armedMagazines(accounted);
    if (magazines == null) {
      return false;
    }
    SlabRange range = allocator.range();
    Slab slab = range.find(address);
    return slab != null
        && slab.cacheIndex == index
        && SlotSlabs.freeFast(range, address, magazines);
  }

  /**
   * Frees many objects of this cache, one after the other. At one that is not an allocated object
   * of this cache, such as one that is there twice, it stops: those before it are freed and their
   * entries {@link Kmalloc#NULL}, it and those behind it are as they were.
   *
   * @param addresses the objects; {@link Kmalloc#NULL} is passed over
   * @param from index of the first one
   * @param count how many, at least 0
   * @throws IllegalArgumentException if one is not an allocated object of this cache
   * @throws IndexOutOfBoundsException if {@code addresses} has no such range
   */
  public void freeBulk(long[] addresses, int from, int count) {
    Objects.checkFromIndexSize(from, count, addresses.length);
    for (int i = from; i < from + count; i++) {
      free(addresses[i]);
      addresses[i] = Kmalloc.NULL;
    }
  }

  /**
   * Frees an object as soon as every {@link ReadSection} that is open now has been closed; see
   * {@link Kmalloc#freeDeferred}.
   *
   * @param address an allocated object of this cache that no reader can find any more; {@link
   *     Kmalloc#NULL} does nothing
   * @throws IllegalArgumentException if it is not an allocated object of this cache, or is deferred
   *     already; nothing is changed
   */
  public void freeDeferred(long address) {
    if (address != Kmalloc.NULL) {
      allocator.deferredFrees().add(address, index);
    }
  }

  // ---- bound

  /**
   * This cache for hot loops: no thread lookup. For the thread that opened the scope, while it is
   * the innermost one.
   *
   * @param scope the calling thread's innermost scope
   * @return this cache for this scope
   * @throws IllegalStateException if it is closed, not the innermost, or another thread's
   * @throws IllegalArgumentException if it is a scope of another tree
   */
  public Bound bind(Scope scope) {
    return new Bound(this, scope);
  }

  /**
   * {@link KmemCache} for one scope. Using it on another thread than the scope's, after the scope
   * is closed, or while an inner one is open, throws {@link IllegalStateException}.
   */
  public static final class Bound {
    private final KmemCache cache;
    private final Thread thread = Thread.currentThread();
    private final Scope scope;
    private final ScopeFrame frame;
    private final CpuSlot slot;
    private final SlabRange range;
    private final int index;
    private long token;
    private Magazines magazines;
    private Magazine magazine;

    private Bound(KmemCache cache, Scope scope) {
      this.cache = cache;
      this.scope = scope;
      this.frame = scope.frame();
      this.slot = frame.slot();
      this.range = cache.allocator.range();
      this.index = cache.index;
      cache.allocator.requireSameTree(frame);
      scope.resync();
      this.token = frame.token();
      this.magazines = cache.magazinesOf(frame);
      this.magazine = magazines.get(index);
    }

    /**
     * As {@link KmemCache#allocate()}.
     *
     * @return its address
     * @throws MemoryLimitException if a limit, or the OS, refuses
     * @throws IllegalStateException if the cache is closed, or called by its constructor
     */
    public long allocate() {
      return allocate(0);
    }

    /**
     * As {@link KmemCache#tryAllocate()}.
     *
     * @return the address, or {@link Kmalloc#NULL} if refused
     * @throws IllegalStateException if the cache is closed, or called by its constructor
     */
    public long tryAllocate() {
      return allocate(SlabAllocator.MAY_FAIL);
    }

    /**
     * As {@link KmemCache#free}.
     *
     * @param address an allocated object of this cache
     * @throws IllegalArgumentException if it is not an allocated object of this cache
     */
    public void free(long address) {
      if (isReady()) {
        Slab slab = range.find(address);
        if (slab != null
            && slab.cacheIndex == index
            && SlotSlabs.freeFast(range, address, magazines)) {
          return;
        }
      }
      if (address != Kmalloc.NULL) {
        cache.allocator.free(scope.frame(), address, index);
        refresh();
      }
    }

    private boolean isReady() {
      return thread == Thread.currentThread() && slot.isArmed(token);
    }

    private long allocate(int flags) {
      cache.checkOpen();
      Constructor init = cache.constructor;
      if (init != null) {
        init.refuseWhileRunning();
      }
      long address = isReady() ? magazine.allocate() : SlabAllocator.NULL;
      if (address == SlabAllocator.NULL) {
        address = allocateSlow(flags);
      }
      if (init != null && address != SlabAllocator.NULL) {
        init.construct(cache.allocator, address);
      }
      return address;
    }

    private long allocateSlow(int flags) {
      long address = SlabAllocator.NULL;
      if (isReady()) {
        address = magazines.home().allocate(magazines, cache.geometry, SlabAllocator.NO_SEEK);
      }
      if (address == SlabAllocator.NULL) {
        address =
            cache.allocator.allocate(
                scope.frame(), cache.geometry, cache.objectSize, 1, cache.flagsFor(flags));
      }
      refresh();
      return address;
    }

    /** A slow path may have moved the scope to another handle, which gives it another token. */
    private void refresh() {
      if (frame.token() != token) {
        token = frame.token();
        magazines = cache.magazinesOf(frame);
      }
      magazine = magazines.get(index);
    }
  }

  /** Directly after a resync of the scope. */
  private Magazines magazinesOf(ScopeFrame scope) {
    if (accounted || !scope.holdsSlot()) {
      return allocator.magazinesOf(scope);
    }
    CpuSlot slot = scope.slot();
    return allocator
        .slabsOf(slot)
        .magazines(allocator.payer(slot, scope, SlabAllocator.UNACCOUNTED));
  }

  // ---- whole cache

  /**
   * What this cache is and holds. Walks all slabs of the allocator: for people and tests.
   *
   * @return figures of this moment
   */
  public KmemCacheInfo info() {
    return KmemCacheInfo.of(allocator, cache);
  }

  /**
   * Gives memory of this cache that is in no use back to the OS now. Slots in use do their part at
   * their next operation; what readers of a typesafe cache may look at goes later.
   *
   * @return bytes given back
   */
  public long shrink() {
    return new ShrinkCache(allocator, cache).shrink();
  }

  /**
   * Destroys the cache and gives its memory back. Waits for readers if frees were deferred. A cache
   * that was merged lives on under the names that are left.
   *
   * @throws IllegalStateException if objects are still allocated: they are reported, and the cache
   *     stays as it is; or if the thread has a {@link ReadSection} open
   */
  @Override
  public void close() {
    if (closed) {
      return;
    }
    allocator.readers().requireOutside("close of cache " + name);
    if (allocator.caches().removeAlias(cache, name)) {
      closed = true;
      return;
    }
    while (cache.nrDeferred().sum() > 0) {
      allocator.deferredFrees().barrier();
    }
    allocator.shrink();
    long nrLive = LiveObjects.count(allocator, index);
    if (nrLive > 0) {
      throw new IllegalStateException(
          String.format(
              Locale.ROOT,
              "cache closed with live objects: cache=%s nrObjects=%d %s",
              name,
              nrLive,
              LiveObjects.report(allocator, index)));
    }
    closed = true;
    allocator.caches().remove(cache);
    allocator.range().forget(geometry);
  }
}
