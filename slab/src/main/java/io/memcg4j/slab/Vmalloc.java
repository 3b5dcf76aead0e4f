package io.memcg4j.slab;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryLimitException;
import io.memcg4j.objcg.ObjCgroup;
import java.lang.foreign.MemorySegment;
import java.util.Locale;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Allocates large areas, each with a guard page behind it, charged to the group of the calling
 * thread's scope by whole pages.
 *
 * <p>For buffers of many pages: an area takes a page at least, and a few hundred nanoseconds when
 * its size was freed before, some microseconds when not. Small objects belong to {@link Kmalloc}.
 *
 * <p>Any address inside an area finds it ({@link #find}), without a lock and whatever others
 * allocate and free meanwhile; so do the totals ({@link #info}) and the list ({@link
 * #vmallocinfo}): nothing that looks delays an allocation.
 *
 * <p>A free is lazy: the charge goes back at once, the memory with the next purge (64 MiB for two
 * processors, 2048 areas, or about a second), and no address is used again before that. Then it is
 * kept for areas of the same size, up to 256 pages; what is not needed decays with each purge. An
 * access to freed memory may thus read stale data or zeros, or end the JVM.
 *
 * <p>An access to a guard page, which belongs to no area, ends the JVM with a segmentation fault:
 * it stops an overrun before it damages the neighbour, and cannot be caught. Without {@code mmap}
 * (see {@link Kmalloc}) guard pages are gaps that an overrun damages silently.
 *
 * <p>Refusals are those of {@link Kmalloc}: {@link MemoryLimitException}, or {@link #NULL} from the
 * {@code try} forms; nothing of a refused call is left behind. Frees of anything but an area throw
 * {@link IllegalArgumentException} and change nothing. An address that was freed and has been
 * allocated again cannot be told from a good one.
 *
 * <p>Thread-safe. On Linux each area takes two of the mappings that {@code vm.max_map_count} allows
 * a process, 65 530 by default: about 32 000 areas; then the OS refuses.
 *
 * <p>Origin: vmalloc, vrealloc, vfree and find_vm_area of Linux mm/vmalloc.c.
 */
public final class Vmalloc {
  /*
   * Layout     VmallocSpace hands out addresses; the area that lives on them is VmallocRun.area.
   * Invariant  an area in a run is charged to its payer with chargedBytes, and holds one reference on
   *            it. A run that is handed out has an area, but for a moment in allocate and in free.
   * Ordering   allocate: charge, addresses, index, memory, and the area last. free: the area first,
   *            then charge and addresses. So what is found was usable and paid for at that moment.
   * Locks      none here, and none held in a charge.
   * Not        that a reallocation beside a free of the same area wins or loses: one of them throws.
   * guaranteed
   * Origin     the one-lock lookup of Linux mm/vmalloc.c, whose statistics readers held up allocations
   *            until they were replaced by a counter.
   */

  /** No area. */
  public static final long NULL = SlabAllocator.NULL;

  /** System property: {@code false} to record no callers. */
  static final String CALLERS_PROPERTY = "memcg4j.vmalloc.callers";

  private static final StackWalker STACK = StackWalker.getInstance();
  private static final String THIS_CLASS = Vmalloc.class.getName();
  private static final int MAX_LIVE_LINES = 16;
  private static final long MAX_SPARE_BYTES = 1L << 30;

  private final VmallocSpace space;
  private final ScopeCharger charger;
  private final Runnable wakePurge;
  private volatile boolean recordsCallers =
      !System.getProperty(CALLERS_PROPERTY, "true").equals("false");

  Vmalloc(Mapper mapper, long rangeBytes, ScopeCharger charger, Runnable wakePurge) {
    this.space = new VmallocSpace(mapper, rangeBytes);
    this.charger = charger;
    this.wakePurge = wakePurge;
  }

  /**
   * Whether new areas know where they were allocated. Costs about a microsecond each. On unless the
   * system property {@code memcg4j.vmalloc.callers} is {@code false}.
   *
   * @param on true to record callers from now on
   */
  public void recordCallers(boolean on) {
    recordsCallers = on;
  }

  // ---- allocate

  /**
   * Allocates an area with undefined content.
   *
   * @param nrBytes 1 to the size of the range
   * @return its address, aligned to a page
   * @throws MemoryLimitException if a limit, or the OS, refuses
   * @throws IllegalArgumentException if the size is out of range
   */
  public long allocate(long nrBytes) {
    return allocate(nrBytes, 1, 0, 0);
  }

  /**
   * As {@link #allocate(long)}, but a refusal is a value.
   *
   * @param nrBytes 1 to the size of the range
   * @return the address, or {@link #NULL} if refused
   * @throws IllegalArgumentException if the size is out of range
   */
  public long tryAllocate(long nrBytes) {
    return allocate(nrBytes, 1, 0, SlabAllocator.MAY_FAIL);
  }

  /**
   * Allocates an area that reads as zero. Costs no more: fresh pages are zero.
   *
   * @param nrBytes 1 to the size of the range
   * @return its address, aligned to a page
   * @throws MemoryLimitException if a limit, or the OS, refuses
   * @throws IllegalArgumentException if the size is out of range
   */
  public long allocateZeroed(long nrBytes) {
    return allocate(nrBytes, 1, 0, 0);
  }

  /**
   * As {@link #allocateZeroed}, but a refusal is a value.
   *
   * @param nrBytes 1 to the size of the range
   * @return the address, or {@link #NULL} if refused
   * @throws IllegalArgumentException if the size is out of range
   */
  public long tryAllocateZeroed(long nrBytes) {
    return allocate(nrBytes, 1, 0, SlabAllocator.MAY_FAIL);
  }

  /**
   * Allocates an area at an aligned address.
   *
   * @param nrBytes 1 to the size of the range
   * @param alignment power of two, 1 to the size of the range
   * @return its address, a multiple of the alignment and of the page size
   * @throws MemoryLimitException if a limit, or the OS, refuses
   * @throws IllegalArgumentException if size or alignment is out of range
   */
  public long allocateAligned(long nrBytes, long alignment) {
    return allocate(nrBytes, alignment, 0, 0);
  }

  /**
   * As {@link #allocateAligned}, but a refusal is a value.
   *
   * @param nrBytes 1 to the size of the range
   * @param alignment power of two, 1 to the size of the range
   * @return the address, or {@link #NULL} if refused
   * @throws IllegalArgumentException if size or alignment is out of range
   */
  public long tryAllocateAligned(long nrBytes, long alignment) {
    return allocate(nrBytes, alignment, 0, SlabAllocator.MAY_FAIL);
  }

  /**
   * Allocates an area as a segment, bounded to the size asked for. It knows nothing of the area's
   * life: accessing it after the free is an error that goes unnoticed, or ends the JVM.
   *
   * @param nrBytes 1 to the size of the range
   * @return a native segment of {@code nrBytes}
   * @throws MemoryLimitException if a limit, or the OS, refuses
   * @throws IllegalArgumentException if the size is out of range
   */
  public MemorySegment allocateSegment(long nrBytes) {
    return Mmap.MEMORY.asSlice(allocate(nrBytes), nrBytes);
  }

  private long allocate(long nrBytes, long alignment, long spareBytes, int flags) {
    checkSize(nrBytes);
    if (alignment < 1 || alignment > space.maxBytes() || Long.bitCount(alignment) != 1) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "alignment out of range: alignment=%s legal=power of two 1..%d",
              Long.toUnsignedString(alignment),
              space.maxBytes()));
    }
    long chargeBytes = space.roundUp(nrBytes);
    StackWalker.StackFrame caller = caller();
    ObjCgroup payer = charger.charge(chargeBytes, flags);
    if (payer == null) {
      return NULL;
    }
    VmallocRun run = null;
    try {
      run = space.allocate(chargeBytes, chargeBytes + spareBytes, alignment);
    } finally {
      if (run == null) {
        charger.uncharge(payer, chargeBytes);
      }
    }
    if (run == null) {
      return refused(payer.group(), nrBytes, flags);
    }
    run.setArea(new LiveArea(run.base, nrBytes, chargeBytes, space.pageBytes(), payer, caller));
    return run.base;
  }

  private long refused(MemCgroup group, long nrBytes, int flags) {
    if ((flags & SlabAllocator.MAY_FAIL) != 0) {
      return NULL;
    }
    throw group.mappingRefused(nrBytes, space.usedBytes(), space.reservedBytes());
  }

  private void checkSize(long nrBytes) {
    long limit = Math.min(space.maxBytes(), MemCgroup.MAX_REQUEST_PAGES << MemCgroup.PAGE_SHIFT);
    if (nrBytes < 1 || nrBytes > limit) {
      throw new IllegalArgumentException(
          String.format(Locale.ROOT, "size out of range: nrBytes=%d legal=1..%d", nrBytes, limit));
    }
  }

  private StackWalker.@Nullable StackFrame caller() {
    return recordsCallers
        ? STACK.walk(frames ->
            frames
                .filter(frame -> !frame.getClassName().equals(THIS_CLASS))
                .findFirst()
                .orElse(null))
        : null;
  }

  // ---- reallocate

  /**
   * Changes the size of an area: in place when it shrinks, and when it grows into free addresses
   * behind it; else by moving it. Contents are kept up to the smaller size. Whoever pays for the
   * area pays for its growth, and may be refused it; a moved area is charged to the calling
   * thread's scope. An area that was moved because it grew has room to grow in place until it has
   * doubled.
   *
   * @param address an area; {@link #NULL} to allocate
   * @param nrBytes the new size, 1 to the size of the range
   * @return its address now; if it is another one, the old one must not be used any more
   * @throws MemoryLimitException if a limit, or the OS, refuses; the area is as it was
   * @throws IllegalArgumentException if {@code address} is no area, is being reallocated, or the
   *     size is out of range
   */
  public long reallocate(long address, long nrBytes) {
    return reallocate(address, nrBytes, 0);
  }

  /**
   * As {@link #reallocate(long, long)}, but a refusal is a value.
   *
   * @param address an area; {@link #NULL} to allocate
   * @param nrBytes the new size, 1 to the size of the range
   * @return its address now; {@link #NULL} if refused, and the area is as it was
   * @throws IllegalArgumentException if {@code address} is no area, is being reallocated, or the
   *     size is out of range
   */
  public long tryReallocate(long address, long nrBytes) {
    return reallocate(address, nrBytes, SlabAllocator.MAY_FAIL);
  }

  private long reallocate(long address, long nrBytes, int flags) {
    if (address == NULL) {
      return allocate(nrBytes, 1, 0, flags);
    }
    VmallocRun run = runOf("reallocation", address);
    checkSize(nrBytes);
    LiveArea area = take("reallocation", address, run, Taken.FOR_RESIZE);
    // Until it has an area again that is not resizing() nobody else can free or move it.
    LiveArea now = area;
    try {
      now = resized(run, area, nrBytes, flags);
    } finally {
      if (now != null) {
        run.setArea(now);
      }
    }
    if (now != null) {
      return now == area ? NULL : address;
    }
    long moved = NULL;
    try {
      long chargeBytes = space.roundUp(nrBytes);
      moved = allocate(nrBytes, 1, chargeBytes <= MAX_SPARE_BYTES ? chargeBytes : 0, flags);
      if (moved != NULL) {
        MemorySegment.copy(Mmap.MEMORY, address, Mmap.MEMORY, moved, area.nrBytes());
      }
    } finally {
      run.setArea(area);
    }
    if (moved != NULL) {
      free(address);
    }
    return moved;
  }

  /** The area in its new size; the same one if its payer is refused; null if it has to move. */
  private @Nullable LiveArea resized(VmallocRun run, LiveArea area, long nrBytes, int flags) {
    long newBytes = space.roundUp(nrBytes);
    long more = newBytes - area.chargedBytes();
    if (more < 0) {
      if (!space.shrink(run, newBytes)) {
        return area.resized(nrBytes, area.chargedBytes()); // it keeps its pages, and pays for them
      }
      charger.unchargePart(area.payer(), -more);
    } else if (more > 0) {
      if (!charger.chargeMore(area.payer(), more, flags)) {
        return area;
      }
      boolean grown = false;
      try {
        grown = space.grow(run, newBytes);
      } finally {
        if (!grown) {
          charger.unchargePart(area.payer(), more);
        }
      }
      if (!grown) {
        return null;
      }
    }
    return area.resized(nrBytes, newBytes);
  }

  // ---- free

  /**
   * Frees an area. Any thread, any scope.
   *
   * @param address an area; {@link #NULL} does nothing
   * @throws IllegalArgumentException if it is not an area, or is being reallocated; nothing is
   *     changed
   */
  public void free(long address) {
    if (address == NULL) {
      return;
    }
    VmallocRun run = runOf("free", address);
    LiveArea area = take("free", address, run, Taken.FOR_FREE);
    charger.uncharge(area.payer(), area.chargedBytes());
    space.retire(run);
    wakePurge.run();
  }

  /**
   * Frees the area that a segment is.
   *
   * @param segment what {@link #allocateSegment} returned
   * @throws IllegalArgumentException if it does not start at an area
   */
  public void free(MemorySegment segment) {
    if (!segment.isNative()) {
      throw new IllegalArgumentException("free of a segment on the Java heap: " + segment);
    }
    free(segment.address());
  }

  private enum Taken {
    FOR_FREE,
    FOR_RESIZE
  }

  /** The area of a run, taken away from everybody else; only one caller gets it. */
  private static LiveArea take(String what, long address, VmallocRun run, Taken how) {
    LiveArea area = run.area();
    if (area == null) {
      throw badAddress("double free: " + what, address, run, null);
    }
    if (area.isResizing()) {
      throw badAddress(what + " during a reallocation", address, run, area);
    }
    if (!run.casArea(area, how == Taken.FOR_FREE ? null : area.resizing())) {
      throw badAddress(what + " beside another", address, run, area);
    }
    return area;
  }

  private VmallocRun runOf(String what, long address) {
    VmallocRun run = space.find(address);
    if (run == null) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT, "wild %s: address=0x%x range=%s", what, address, space.range()));
    }
    if (address != run.base) {
      throw badAddress(what + " of an interior address", address, run, run.area());
    }
    return run;
  }

  private static IllegalArgumentException badAddress(
      String reason, long address, VmallocRun run, @Nullable LiveArea area) {
    return new IllegalArgumentException(
        String.format(
            Locale.ROOT,
            "%s: address=0x%x area=0x%x offset=%d areaBytes=%d",
            reason,
            address,
            run.base,
            address - run.base,
            area == null ? 0 : area.nrBytes()));
  }

  // ---- look

  /**
   * The area around an address. Takes no lock, while areas come and go, and makes the answer only:
   * an area that is allocated for the whole call is found; one whose free has returned is not.
   *
   * @param address any address, also inside an area
   * @return the area as it was at one moment of the call; null if there is none, as for a guard
   *     page
   */
  public @Nullable VmallocArea find(long address) {
    VmallocRun run = space.find(address);
    LiveArea area = run == null ? null : run.area();
    return area != null && area.contains(address) ? area.shown() : null;
  }

  /**
   * Bytes of an area that may be used: whole pages.
   *
   * @param address an area
   * @return at least what was asked for
   * @throws IllegalArgumentException if it is not an area
   */
  public long usableSize(long address) {
    VmallocRun run = runOf("size", address);
    LiveArea area = run.area();
    if (area == null) {
      throw badAddress("use after free", address, run, null);
    }
    return area.chargedBytes();
  }

  /**
   * The totals: counters, not a walk.
   *
   * @return figures of this moment
   */
  public VmallocInfo info() {
    return space.info();
  }

  /**
   * Shows all areas by ascending address, without a lock. Which runs of addresses there are is of
   * one moment; whether an area lives there, of the moment it is looked at.
   *
   * @param visitor is called for each area, without any lock
   */
  public void forEach(Consumer<? super VmallocArea> visitor) {
    forEachLive(area -> visitor.accept(area.shown()));
  }

  /** Whether a range of addresses has any in it that are reserved for areas. */
  boolean overlaps(long address, long nrBytes) {
    return space.overlaps(address, nrBytes);
  }

  void forEachLive(Consumer<LiveArea> visitor) {
    space.forEach(run -> {
      LiveArea area = run.area();
      if (area != null) {
        visitor.accept(area);
      }
    });
  }

  /**
   * The areas as text in the layout of {@code /proc/vmallocinfo}, with the tenant added, sorted by
   * address; addresses that wait for the purge are {@code unpurged vm_area}. A walk without a lock.
   *
   * @return one line per area
   */
  public String vmallocinfo() {
    StringBuilder text = new StringBuilder();
    space.forEach(run -> {
      LiveArea area = run.area();
      if (area != null) {
        text.append(area).append('\n');
      } else if (space.isLazy(run)) {
        text.append(space.unpurgedLine(run)).append('\n');
      }
    });
    return text.toString();
  }

  // ---- whole allocator

  /**
   * Gives the memory of freed areas back to the OS now, and gives up addresses kept for reuse.
   *
   * @return bytes given back
   */
  public long shrink() {
    return space.purge(true);
  }

  /** The purge by time. */
  void purge() {
    if (hasSomethingToPurge()) {
      space.purge(false);
    }
  }

  boolean hasSomethingToPurge() {
    return space.nrLazy() != 0;
  }

  /**
   * Before the allocator closes.
   *
   * @throws IllegalStateException if there are areas: they are reported
   */
  void requireEmpty() {
    int nrAreas = space.nrAreas();
    if (nrAreas != 0) {
      StringBuilder lines = new StringBuilder();
      int[] nrLines = {0};
      forEach(area -> {
        if (nrLines[0]++ < MAX_LIVE_LINES) {
          lines.append(" [").append(area).append(']');
        }
      });
      String more =
          nrLines[0] > MAX_LIVE_LINES ? " and " + (nrLines[0] - MAX_LIVE_LINES) + " more" : "";
      throw new IllegalStateException(
          String.format(
              Locale.ROOT,
              "allocator closed with live areas: nrAreas=%d usedBytes=%d%s%s",
              nrAreas,
              space.usedBytes(),
              lines,
              more));
    }
  }

  void close() {
    space.close();
  }
}
