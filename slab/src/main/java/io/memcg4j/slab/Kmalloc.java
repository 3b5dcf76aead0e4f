package io.memcg4j.slab;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryLimitException;
import io.memcg4j.objcg.Scope;
import io.memcg4j.objcg.ScopeFrame;
import io.memcg4j.percpu.CpuSlot;
import io.memcg4j.percpu.PercpuAllocator;
import io.memcg4j.percpu.Srcu;
import java.lang.foreign.MemorySegment;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * Allocates off-heap memory of any size, charged to the group of the calling thread's scope.
 *
 * <p>Objects are addressed by {@code long}s and accessed through {@link #MEMORY}, or by segments
 * that are bounded to the size asked for. They live until they are freed, by whichever thread.
 * Sizes up to 8192 come from 48 size classes, the kernel's among them; larger ones take whole
 * pages.
 *
 * <p>Outside any scope everything works and nothing is charged, as for a task in the root cgroup.
 * Inside, a new object costs its size class and a share of the metadata; what is refused throws
 * {@link MemoryLimitException} from the plain methods and gives {@link #NULL} from the {@code try}
 * ones. Freeing gives the charge back to whoever paid, also after their group was removed.
 *
 * <p>A free of anything but an allocated object throws {@link IllegalArgumentException} and changes
 * nothing: wild, interior, double and foreign addresses are told from metadata on the Java heap.
 * Two frees of one object at the same time may both return; the object is freed once and the other
 * free is counted in {@link SlabInfo#nrBadFrees}. An address that was freed and has been allocated
 * again cannot be told from a good one.
 *
 * <p>On Linux pages come from {@code mmap}; elsewhere, or with {@code -Dmemcg4j.mapper=arena}, from
 * an {@link java.lang.foreign.Arena}, which takes the memory of the whole range at the start and
 * gives it back at the close.
 *
 * <p>Thread-safe. Memory that is no longer used goes back to the OS after about a second, at once
 * with {@link #shrink}. Until then a slot keeps an empty slab, and the slab that it allocated from
 * last, of each class that was used on it.
 *
 * <p>Origin: kmalloc, kfree, krealloc and ksize of Linux mm/slub.c.
 */
public final class Kmalloc implements AutoCloseable {
  /** No object. */
  public static final long NULL = SlabAllocator.NULL;

  /** What an allocation of size 0 returns: not to be accessed; freeing it does nothing. */
  public static final long ZERO_SIZE = 16;

  /** Largest size of a size class; above it objects take whole pages. */
  public static final int MAX_CACHE_SIZE = SizeClasses.MAX_SIZE;

  /**
   * All memory of the process, by address: {@code MEMORY.get(ValueLayout.JAVA_LONG, address)}.
   * Access to an address that is not part of an allocated object corrupts memory or ends the JVM.
   */
  public static final MemorySegment MEMORY = Mmap.MEMORY;

  private static final long MIN_RANGE_BYTES = 1L << 22;
  private static final long MAX_RANGE_BYTES = 1L << 44;
  private static final long MAX_ROUNDED_BYTES = 1L << 62;

  private final SlabAllocator allocator;
  private final SizedAllocator sized;

  private final PercpuMemory percpuMemory;

  private Kmalloc(SlabAllocator allocator, PercpuMemory percpuMemory) {
    this.allocator = allocator;
    this.percpuMemory = percpuMemory;
    allocator.tracking().add(percpuMemory);
    this.sized = new SizedAllocator(allocator);
    allocator.attach(new ArenaSessions(this));
  }

  /**
   * An allocator whose objects are charged to the groups of a tree.
   *
   * @param root the root of the tree
   * @return a new allocator with the default range of {@link Builder#rangeBytes}
   * @throws IllegalStateException if the OS gives no address space
   */
  public static Kmalloc create(MemCgroup root) {
    return builder(root).build();
  }

  /**
   * A builder for allocators with other settings.
   *
   * @param root the root of the tree that is charged
   * @return a builder with the defaults of {@link #create}
   */
  public static Builder builder(MemCgroup root) {
    return new Builder(root);
  }

  /** Settings of an allocator. Not thread-safe. */
  public static final class Builder {
    private final MemCgroup root;
    private long rangeBytes;
    private boolean accounted = true;
    private @Nullable Mapper mapper;

    private Builder(MemCgroup root) {
      this.root = root;
    }

    /**
     * Whether objects are charged at all. Without, scopes are only used for their slots.
     *
     * @param on true to charge, the default
     * @return this
     */
    public Builder accounting(boolean on) {
      accounted = on;
      return this;
    }

    /**
     * Address space to reserve: the bound of everything that can be allocated at the same time. The
     * allocator takes less if the OS has no such range.
     *
     * @param nrBytes 4 MiB to 16 TiB; 256 GiB by default, 256 MiB without {@code mmap}
     * @return this
     * @throws IllegalArgumentException if out of range
     */
    public Builder rangeBytes(long nrBytes) {
      if (nrBytes < MIN_RANGE_BYTES || nrBytes > MAX_RANGE_BYTES) {
        throw new IllegalArgumentException(
            String.format(
                Locale.ROOT,
                "range size out of range: rangeBytes=%d legal=%d..%d",
                nrBytes,
                MIN_RANGE_BYTES,
                MAX_RANGE_BYTES));
      }
      rangeBytes = nrBytes;
      return this;
    }

    Builder mapper(Mapper pages) {
      mapper = pages;
      return this;
    }

    /**
     * Makes the allocator.
     *
     * @return a new allocator
     * @throws IllegalStateException if the OS gives no address space
     */
    public Kmalloc build() {
      Mapper pages = mapper != null ? mapper : Mapper.ofThisSystem();
      long nrBytes = rangeBytes != 0 ? rangeBytes : pages.defaultRangeBytes();
      SlabAllocator allocator = new SlabAllocator(root, pages, nrBytes, accounted);
      allocator.debug().start();
      return new Kmalloc(allocator, new PercpuMemory(allocator));
    }
  }

  /**
   * The root of the tree that is charged.
   *
   * @return the group that this allocator was made for
   */
  public MemCgroup root() {
    return allocator.registry().rootHandle().group();
  }

  SlabAllocator allocator() {
    return allocator;
  }

  SizedAllocator sized() {
    return sized;
  }

  /**
   * Memory that every slot has a copy of, charged as this allocator's objects, in address space of
   * its own. Reports live objects and is closed with this allocator.
   *
   * @return the per-CPU allocator, the same one every time; made at the first call
   * @throws IllegalStateException if the OS gives no address space, or this allocator is closed
   */
  public PercpuAllocator percpu() {
    return percpuMemory.allocator();
  }

  /**
   * The allocator of large areas: a range of its own, as large as this one's, charged like it. Made
   * on first use, closed with this.
   *
   * @return the one instance of this allocator
   * @throws IllegalStateException if this is closed, or the OS gives no address space
   */
  public Vmalloc vmalloc() {
    return allocator.vmalloc();
  }

  // ---- allocate

  /**
   * Allocates an object with undefined content.
   *
   * @param nrBytes 0 to the size of the range; 0 gives {@link #ZERO_SIZE}
   * @return its address, aligned to the largest power of two that divides its size class, at least
   *     8
   * @throws MemoryLimitException if a limit, or the OS, refuses
   * @throws IllegalArgumentException if the size is out of range
   */
  public long allocate(long nrBytes) {
    long address = allocateFast(nrBytes);
    return address != NULL ? address : sized.allocate(scope(), nrBytes, 0);
  }

  /**
   * As {@link #allocate}, but a refusal is a value.
   *
   * @param nrBytes 0 to the size of the range
   * @return the address, or {@link #NULL} if refused
   * @throws IllegalArgumentException if the size is out of range
   */
  public long tryAllocate(long nrBytes) {
    long address = allocateFast(nrBytes);
    return address != NULL ? address : sized.allocate(scope(), nrBytes, SlabAllocator.MAY_FAIL);
  }

  /**
   * Allocates an object whose first {@code nrBytes} bytes are zero.
   *
   * @param nrBytes 0 to the size of the range
   * @return its address
   * @throws MemoryLimitException if a limit, or the OS, refuses
   * @throws IllegalArgumentException if the size is out of range
   */
  public long allocateZeroed(long nrBytes) {
    return sized.allocate(scope(), nrBytes, SlabAllocator.ZEROED);
  }

  /**
   * As {@link #allocateZeroed}, but a refusal is a value.
   *
   * @param nrBytes 0 to the size of the range
   * @return the address, or {@link #NULL} if refused
   * @throws IllegalArgumentException if the size is out of range
   */
  public long tryAllocateZeroed(long nrBytes) {
    return sized.allocate(scope(), nrBytes, SlabAllocator.ZEROED | SlabAllocator.MAY_FAIL);
  }

  /**
   * Allocates an object at an aligned address.
   *
   * @param nrBytes 0 to the size of the range
   * @param alignment power of two, up to the size of the range
   * @return its address, a multiple of {@code alignment}
   * @throws MemoryLimitException if a limit, or the OS, refuses
   * @throws IllegalArgumentException if the size or the alignment is out of range
   */
  public long allocateAligned(long nrBytes, long alignment) {
    return sized.allocateAligned(scope(), nrBytes, alignment, 0);
  }

  /**
   * As {@link #allocateAligned}, but a refusal is a value.
   *
   * @param nrBytes 0 to the size of the range
   * @param alignment power of two, up to the size of the range
   * @return the address, or {@link #NULL} if refused
   * @throws IllegalArgumentException if the size or the alignment is out of range
   */
  public long tryAllocateAligned(long nrBytes, long alignment) {
    return sized.allocateAligned(scope(), nrBytes, alignment, SlabAllocator.MAY_FAIL);
  }

  /**
   * Changes the size of an object, in place where the new size fits, else by moving it. Contents
   * are kept up to the smaller size; bytes beyond are undefined.
   *
   * @param address an allocated object; {@link #NULL} or {@link #ZERO_SIZE} to allocate
   * @param nrBytes the new size; 0 frees the object and gives {@link #ZERO_SIZE}
   * @return its address now; the old one must not be used any more
   * @throws MemoryLimitException if a limit, or the OS, refuses; the object is as it was
   * @throws IllegalArgumentException if {@code address} is no object, or the size is out of range
   */
  public long reallocate(long address, long nrBytes) {
    return sized.reallocate(scope(), address, nrBytes, 0);
  }

  /**
   * As {@link #reallocate}, but a refusal is a value.
   *
   * @param address an allocated object; {@link #NULL} or {@link #ZERO_SIZE} to allocate
   * @param nrBytes the new size; 0 frees the object and gives {@link #ZERO_SIZE}
   * @return its address now; {@link #NULL} if refused, and the object is as it was
   * @throws IllegalArgumentException if {@code address} is no object, or the size is out of range
   */
  public long tryReallocate(long address, long nrBytes) {
    return sized.reallocate(scope(), address, nrBytes, SlabAllocator.MAY_FAIL);
  }

  /**
   * Allocates an object as a segment, bounded to the size asked for. The segment knows nothing of
   * the object's life: accessing it after the free is an error that goes unnoticed.
   *
   * @param nrBytes 0 to the size of the range
   * @return a native segment of {@code nrBytes}
   * @throws MemoryLimitException if a limit, or the OS, refuses
   * @throws IllegalArgumentException if the size is out of range
   */
  public MemorySegment allocateSegment(long nrBytes) {
    return MEMORY.asSlice(allocate(nrBytes), nrBytes);
  }

  /**
   * The forms that wait for memory instead of being refused.
   *
   * @return of this allocator, for any thread
   */
  public KmallocWait waiting() {
    return new KmallocWait(this);
  }

  long allocate(long nrBytes, int flags) {
    return sized.allocate(scope(), nrBytes, flags);
  }

  // ---- free

  /**
   * Frees an object. Any thread, any scope.
   *
   * @param address an allocated object; {@link #NULL} and {@link #ZERO_SIZE} do nothing
   * @throws IllegalArgumentException if it is not an allocated object of this allocator; nothing is
   *     changed
   */
  public void free(long address) {
    Magazines magazines = allocator.armedMagazines(true);
    if (magazines == null || !SlotSlabs.freeFast(allocator.range(), address, magazines)) {
      sized.free(scope(), address);
    }
  }

  /**
   * Frees the object that a segment is.
   *
   * @param segment what {@link #allocateSegment} returned
   * @throws IllegalArgumentException if it does not start at an allocated object
   */
  public void free(MemorySegment segment) {
    if (!segment.isNative()) {
      throw new IllegalArgumentException("free of a segment on the Java heap: " + segment);
    }
    free(segment.address());
  }

  /**
   * Frees an object as soon as every {@link ReadSection} that is open now has been closed. Until
   * then its content stays, and so does its charge; to all methods here it is freed. Never waits.
   *
   * @param address an allocated object that no reader can find any more; {@link #NULL} and {@link
   *     #ZERO_SIZE} do nothing
   * @throws IllegalArgumentException if it is not an allocated object of this allocator, or is
   *     deferred already; nothing is changed
   */
  public void freeDeferred(long address) {
    if (!SizedAllocator.isNothing(address)) {
      allocator.deferredFrees().add(address, -1);
    }
  }

  /**
   * Begins to read objects that others may free with {@link #freeDeferred}.
   *
   * @return the section, to be closed
   */
  public ReadSection readSection() {
    allocator.checkOpen();
    return allocator.readers().enter();
  }

  /**
   * The readers of this allocator, for sections by token, which make no garbage, and for grace
   * periods. {@link #close} does not notice that its caller is in such a section: it would wait for
   * ever.
   *
   * @return the same for the life of the allocator
   */
  public Srcu readers() {
    return allocator.readers().srcu();
  }

  // ---- look

  /**
   * Bytes of an object that may be used: its size class, or whole pages.
   *
   * @param address an allocated object; 0 for {@link #NULL} and {@link #ZERO_SIZE}
   * @return at least what was asked for
   * @throws IllegalArgumentException if it is not an allocated object
   */
  public long usableSize(long address) {
    return SizedAllocator.isNothing(address) ? 0 : allocator.usableSize(address);
  }

  /**
   * What an allocation of a size would really get.
   *
   * @param nrBytes 0 to 2^62
   * @return the size class or whole pages; 0 for 0
   * @throws IllegalArgumentException if out of range
   */
  public static long roundUp(long nrBytes) {
    if (nrBytes < 0 || nrBytes > MAX_ROUNDED_BYTES) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "size out of range: nrBytes=%d legal=0..%d",
              nrBytes,
              MAX_ROUNDED_BYTES));
    }
    if (nrBytes == 0) {
      return 0;
    }
    return nrBytes <= MAX_CACHE_SIZE
        ? SizeClasses.size(SizeClasses.index((int) nrBytes))
        : (nrBytes + MemCgroup.PAGE_SIZE - 1) & -MemCgroup.PAGE_SIZE;
  }

  /**
   * What this allocator holds. Walks all slabs: for people and tests, not for hot paths.
   *
   * @return figures of this moment
   */
  public SlabInfo info() {
    SlabRange range = allocator.range();
    return new SlabInfo(
        range.rangeBytes(),
        range.mappedBytes(),
        range.peakMappedBytes(),
        range.retainedBytes(),
        range.nrSlabs(),
        range.nrLarge(),
        allocator.nrObjects(),
        allocator.nrBadFrees());
  }

  /**
   * What a leak scanner asks of this allocator.
   *
   * @return one and the same
   */
  public ObjectTracking tracking() {
    return allocator.tracking();
  }

  /**
   * Which call sites the live memory comes from.
   *
   * @return one and the same; off at first
   */
  public AllocationProfile profile() {
    return allocator.profile();
  }

  /**
   * One object in a while between pages that must not be touched.
   *
   * @return one and the same; off at first
   */
  public GuardedObjects guarded() {
    return allocator.guarded();
  }

  /**
   * Strong checks for chosen caches.
   *
   * @return one and the same; off at first, unless the property says otherwise
   */
  public SlabDebug debug() {
    return allocator.debug();
  }

  /**
   * Makes allocations fail, for tests.
   *
   * @return one and the same; off at first
   */
  public FaultInjection faults() {
    return allocator.faults();
  }

  /**
   * Where reports of corrupted objects go.
   *
   * @return one and the same; the log at first
   */
  public SlabReports reports() {
    return allocator.reports();
  }

  /**
   * Gives memory that is in no use back to the OS now: objects that idle slots keep ready, empty
   * slabs, pages of per-CPU memory without objects, and what is retained. Slots in use do their
   * part at their next operation.
   *
   * @return bytes given back
   */
  public long shrink() {
    return allocator.shrink() + percpuMemory.shrink();
  }

  /**
   * Ends allocation and gives all address space back, if nothing is allocated. A thread that has a
   * scope open may have objects ready on its slot: then the address space goes back when the last
   * of those threads has left its scope, or been on a slow path. Waits for readers, and frees what
   * was deferred.
   *
   * @throws IllegalStateException if objects or areas are still allocated: they are reported, and
   *     the allocator stays open; or if the thread has a {@link ReadSection} open
   */
  @Override
  public void close() {
    long nrPercpu = percpuMemory.nrLive();
    long nrLive = nrPercpu == 0 ? allocator.close() : allocator.range().nrLiveObjects() + nrPercpu;
    if (nrLive > 0) {
      throw new IllegalStateException(
          String.format(
              Locale.ROOT,
              "allocator closed with live objects: nrObjects=%d %s",
              nrLive,
              (LiveObjects.report(allocator, -1) + percpuMemory.report()).strip()));
    }
    percpuMemory.close();
  }

  // ---- bound

  /**
   * An allocator for hot loops: no thread lookup. For the thread that opened the scope, while it is
   * the innermost one.
   *
   * @param scope the calling thread's innermost scope
   * @return an allocator for this scope
   * @throws IllegalStateException if it is closed, not the innermost, or another thread's
   * @throws IllegalArgumentException if it is a scope of another tree
   */
  public Bound bind(Scope scope) {
    return new Bound(this, scope);
  }

  /**
   * {@link Kmalloc} for one scope. Using it on another thread than the scope's, after the scope is
   * closed, or while an inner one is open, throws {@link IllegalStateException}.
   */
  public static final class Bound {
    private final Kmalloc kmalloc;
    private final Thread thread = Thread.currentThread();
    private final Scope scope;
    private final ScopeFrame frame;
    private final CpuSlot slot;
    private final SlabRange range;
    private long token;
    private Magazines magazines;
    private Magazine[] classes;

    private Bound(Kmalloc kmalloc, Scope scope) {
      this.kmalloc = kmalloc;
      this.scope = scope;
      this.frame = scope.frame();
      this.slot = frame.slot();
      kmalloc.allocator.requireSameTree(frame);
      scope.resync();
      this.token = frame.token();
      this.magazines = kmalloc.magazinesOf(frame);
      this.range = kmalloc.allocator.range();
      this.classes = magazines.classes();
    }

    /**
     * As {@link Kmalloc#allocate}.
     *
     * @param nrBytes 0 to the size of the range
     * @return the address
     * @throws MemoryLimitException if a limit, or the OS, refuses
     */
    public long allocate(long nrBytes) {
      long address = allocateFast(nrBytes);
      return address != NULL ? address : allocateSlow(nrBytes, 0);
    }

    /**
     * As {@link Kmalloc#tryAllocate}.
     *
     * @param nrBytes 0 to the size of the range
     * @return the address, or {@link #NULL} if refused
     */
    public long tryAllocate(long nrBytes) {
      long address = allocateFast(nrBytes);
      return address != NULL ? address : allocateSlow(nrBytes, SlabAllocator.MAY_FAIL);
    }

    /**
     * As {@link Kmalloc#allocateZeroed}.
     *
     * @param nrBytes 0 to the size of the range
     * @return the address
     * @throws MemoryLimitException if a limit, or the OS, refuses
     */
    public long allocateZeroed(long nrBytes) {
      return allocateZeroed(nrBytes, 0);
    }

    /**
     * As {@link Kmalloc#tryAllocateZeroed}.
     *
     * @param nrBytes 0 to the size of the range
     * @return the address, or {@link #NULL} if refused
     */
    public long tryAllocateZeroed(long nrBytes) {
      return allocateZeroed(nrBytes, SlabAllocator.MAY_FAIL);
    }

    /**
     * As {@link Kmalloc#allocateAligned}.
     *
     * @param nrBytes 0 to the size of the range
     * @param alignment power of two
     * @return the address
     * @throws MemoryLimitException if a limit, or the OS, refuses
     */
    public long allocateAligned(long nrBytes, long alignment) {
      return refreshed(kmalloc.sized.allocateAligned(scope.frame(), nrBytes, alignment, 0));
    }

    /**
     * As {@link Kmalloc#tryAllocateAligned}.
     *
     * @param nrBytes 0 to the size of the range
     * @param alignment power of two
     * @return the address, or {@link #NULL} if refused
     */
    public long tryAllocateAligned(long nrBytes, long alignment) {
      return refreshed(
          kmalloc.sized.allocateAligned(scope.frame(), nrBytes, alignment, SlabAllocator.MAY_FAIL));
    }

    /**
     * As {@link Kmalloc#reallocate}.
     *
     * @param address an allocated object
     * @param nrBytes the new size
     * @return its address now
     * @throws MemoryLimitException if a limit, or the OS, refuses
     */
    public long reallocate(long address, long nrBytes) {
      return reallocate(address, nrBytes, 0);
    }

    /**
     * As {@link Kmalloc#tryReallocate}.
     *
     * @param address an allocated object
     * @param nrBytes the new size
     * @return its address now, or {@link #NULL} if refused
     */
    public long tryReallocate(long address, long nrBytes) {
      return reallocate(address, nrBytes, SlabAllocator.MAY_FAIL);
    }

    /**
     * As {@link Kmalloc#free(long)}.
     *
     * @param address an allocated object
     * @throws IllegalArgumentException if it is not an allocated object
     */
    public void free(long address) {
      if (!isReady() || !SlotSlabs.freeFast(range, address, magazines)) {
        freeSlow(address);
      }
    }

    private void freeSlow(long address) {
      kmalloc.sized.free(scope.frame(), address);
      refreshed(address);
    }

    private boolean isReady() {
      return thread == Thread.currentThread() && slot.isArmed(token);
    }

    private long allocateFast(long nrBytes) {
      if (!SizedAllocator.isClassSize(nrBytes) || !isReady()) {
        return NULL;
      }
      return classes[SizeClasses.index((int) nrBytes)].allocate();
    }

    private long allocateSlow(long nrBytes, int flags) {
      if (SizedAllocator.isClassSize(nrBytes) && isReady()) {
        long address = kmalloc.refill(magazines, SizeClasses.index((int) nrBytes));
        if (address != NULL) {
          if ((flags & SlabAllocator.ZEROED) != 0) {
            SlabAllocator.zero(address, nrBytes);
          }
          return refreshed(address);
        }
      }
      return refreshed(kmalloc.sized.allocate(scope.frame(), nrBytes, flags));
    }

    private long reallocate(long address, long nrBytes, int flags) {
      if (!isReady()) {
        scope.resync(); // also what changes nothing is for the scope's thread alone
      }
      return refreshed(kmalloc.sized.reallocate(scope.frame(), address, nrBytes, flags));
    }

    private long allocateZeroed(long nrBytes, int flags) {
      long address = allocateFast(nrBytes);
      if (address != NULL) {
        SlabAllocator.zero(address, nrBytes);
        return address;
      }
      return allocateSlow(nrBytes, flags | SlabAllocator.ZEROED);
    }

    /** A slow path may have moved the scope to another handle, which gives it another token. */
    private long refreshed(long address) {
      long now = frame.token();
      if (now != token) {
        token = now;
        magazines = kmalloc.magazinesOf(frame);
      }
      classes = magazines.classes();
      return address;
    }
  }

  // ---- the general forms

  private @Nullable ScopeFrame scope() {
    return allocator.registry().currentScope();
  }

  private Magazines magazinesOf(ScopeFrame scope) {
    return allocator.magazinesOf(scope);
  }

  private long allocateFast(long nrBytes) {
    if (!SizedAllocator.isClassSize(nrBytes)) {
      return NULL;
    }
    Magazines magazines = allocator.armedMagazines(true);
    if (magazines == null) {
      return NULL;
    }
    int index = SizeClasses.index((int) nrBytes);
    long address = magazines.classes()[index].allocate();
    return address != NULL ? address : refill(magazines, index);
  }

  /**
   * Allocates from another word, on a slot that is armed for the calling thread's scope. What a
   * limit refuses is left to the slow path, so that it is asked, and counts, once.
   */
  private long refill(Magazines magazines, int index) {
    return magazines.home().allocate(magazines, sized.geometry(index), SlabAllocator.NO_SEEK);
  }
}
