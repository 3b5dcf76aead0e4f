package io.memcg4j.percpu;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.MemorySegment;
import java.lang.invoke.VarHandle;
import java.util.Locale;

/**
 * Allocates off-heap memory that every slot has a copy of: the owner of a slot reads and writes its
 * own copy with plain access, anybody sums over all of them.
 *
 * <p>An object is named by its handle. {@link #address} is where a slot's copy lies; the slot must
 * be owned by the caller for as long as it writes there: inside a scope that is the scope's slot. A
 * thread without a slot claims a shared one for the length of the operation ({@link
 * CpuSlots#claimShared}), whose copy counts like any other; {@link #add(long, long)} does so by
 * itself. New memory is zero in every copy.
 *
 * <p>Each allocation is paid by whoever pays on the calling thread when it begins: {@link
 * #chargeBytes}. It is given back to the same payer by the free, on whichever thread.
 *
 * <p>Thread-safe. Allocating and freeing take a lock and cost some hundred nanoseconds; accesses
 * take none. Accesses check the range of the handle, not whether the object is live: writing to a
 * copy after the free corrupts another object. A free of anything but a live object throws and
 * changes nothing.
 *
 * <p>Origin: {@code alloc_percpu}, {@code this_cpu_add} and {@code per_cpu_ptr} of Linux.
 */
public final class PercpuAllocator implements AutoCloseable {
  /*
   * Invariant  charged = sum of chargeBytes over live objects with a payer; also after a refusal, a
   *            failure of the OS, or an error at any step between.
   * Ordering   add: plain load, opaque store, by the owner of the slot. One owner's stores are seen
   *            by the next through the claim of the slot (PercpuAddStress, twin: two threads on one
   *            copy without a claim). sum: opaque loads, so an addition that happened before the sum
   *            is in it, one that runs meanwhile once or not at all, and no value is torn.
   * Locks      none here; see PercpuChunks. Charges are made before, and given back after, with none
   *            held.
   * Not        a sum is no snapshot: of two additions that run while it looks, it may have the later
   * guaranteed one and miss the earlier one.
   * Origin     the order charge, allocate, zero of Linux mm/percpu.c; none of its text or code.
   */

  /** No object. */
  public static final long NULL = PercpuChunks.NONE;

  /** The largest size, in bytes. */
  public static final int MAX_SIZE = 32 << 10;

  /** The largest alignment: a page. */
  public static final int MAX_ALIGNMENT = PercpuChunk.PAGE_SIZE;

  private static final int MAX_DEFAULT_ALIGNMENT = 8;
  private static final VarHandle LONG = JAVA_LONG.varHandle();
  private static final VarHandle INT = JAVA_INT.varHandle();

  private final CpuSlots slots;
  private final PercpuCharger charger;
  private final PercpuChunks chunks;
  private final MemorySegment memory;

  /**
   * An allocator without objects. Reserves its address space at once: the capacity times the number
   * of slots, or less if the OS has no such range.
   *
   * @param slots the slots that have a copy each
   * @param pages where memory comes from
   * @param charger who pays
   * @param capacityPerUnit the most bytes that all objects together can have, per copy; rounded
   *     down to chunks of 68 KiB, at least one
   * @throws IllegalStateException if the OS gives no address space
   */
  public PercpuAllocator(
      CpuSlots slots, PercpuPages pages, PercpuCharger charger, long capacityPerUnit) {
    this.slots = slots;
    this.charger = charger;
    this.memory = pages.memory();
    this.chunks = new PercpuChunks(pages, slots.nrSlots(), capacityPerUnit);
  }

  // ---- allocate and free

  /**
   * Allocates an object that is zero in every copy, aligned to the largest power of two up to 8
   * that divides its size rounded up to 4.
   *
   * @param nrBytes 1 to {@link #MAX_SIZE}; rounded up to 4
   * @return its handle
   * @throws IllegalArgumentException if the size is out of range
   * @throws RuntimeException what the charger throws if a limit, or the OS, refuses
   */
  public long allocate(int nrBytes) {
    return allocate(nrBytes, defaultAlignment(nrBytes));
  }

  /**
   * Allocates an object that is zero in every copy.
   *
   * @param nrBytes 1 to {@link #MAX_SIZE}; rounded up to 4
   * @param alignment power of two, 1 to {@link #MAX_ALIGNMENT}; at least 4 is given
   * @return its handle
   * @throws IllegalArgumentException if the size or the alignment is out of range
   * @throws RuntimeException what the charger throws if a limit, or the OS, refuses
   */
  public long allocate(int nrBytes, int alignment) {
    return allocate(nrBytes, alignment, false);
  }

  /**
   * As {@link #allocate(int)}, but a refusal is a value.
   *
   * @param nrBytes 1 to {@link #MAX_SIZE}; rounded up to 4
   * @return its handle, or {@link #NULL} if a limit, or the OS, refuses
   * @throws IllegalArgumentException if the size is out of range
   */
  public long tryAllocate(int nrBytes) {
    return tryAllocate(nrBytes, defaultAlignment(nrBytes));
  }

  /**
   * As {@link #allocate(int, int)}, but a refusal is a value.
   *
   * @param nrBytes 1 to {@link #MAX_SIZE}; rounded up to 4
   * @param alignment power of two, 1 to {@link #MAX_ALIGNMENT}; at least 4 is given
   * @return its handle, or {@link #NULL} if a limit, or the OS, refuses
   * @throws IllegalArgumentException if the size or the alignment is out of range
   */
  public long tryAllocate(int nrBytes, int alignment) {
    return allocate(nrBytes, alignment, true);
  }

  private static int defaultAlignment(int nrBytes) {
    return Math.min(MAX_DEFAULT_ALIGNMENT, Integer.lowestOneBit(roundUp(Math.max(1, nrBytes))));
  }

  private static int roundUp(int nrBytes) {
    return (nrBytes + PercpuChunk.CELL_SIZE - 1) & -PercpuChunk.CELL_SIZE;
  }

  private long allocate(int nrBytes, int alignment, boolean mayFail) {
    checkSize(nrBytes);
    if (alignment < 1 || alignment > MAX_ALIGNMENT || Integer.bitCount(alignment) != 1) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "alignment out of range: alignment=%d legal=power of two 1..%d",
              alignment,
              MAX_ALIGNMENT));
    }
    int size = roundUp(nrBytes);
    long chargeBytes = chargeBytes(size);
    int payer = charger.charge(chargeBytes, mayFail);
    if (payer == PercpuCharger.REFUSED) {
      return NULL;
    }
    long found = NULL;
    try {
      found = chunks.allocate(size, alignment, payer);
    } finally {
      if (found == NULL && payer != PercpuCharger.NOBODY) {
        charger.uncharge(payer, chargeBytes);
      }
    }
    if (found == NULL) {
      if (mayFail) {
        return NULL;
      }
      throw charger.mappingRefused(nrBytes, chunks.mappedBytes(), chunks.rangeBytes());
    }
    long handle = found & ~PercpuChunks.DIRTY;
    if (handle != found) {
      clear(handle, size);
    }
    return handle;
  }

  private static void checkSize(int nrBytes) {
    if (nrBytes < 1 || nrBytes > MAX_SIZE) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT, "size out of range: nrBytes=%d legal=1..%d", nrBytes, MAX_SIZE));
    }
  }

  /** Writes only where something is: reading a page that was never written takes no memory. */
  private void clear(long handle, int size) {
    for (int unit = 0; unit < chunks.nrUnits(); unit++) {
      long address = addressOf(handle, unit);
      long end = address + size;
      while (address < end && memory.get(JAVA_INT, address) == 0) {
        address += Integer.BYTES;
      }
      if (address < end) {
        memory.asSlice(address, end - address).fill((byte) 0);
      }
    }
  }

  /**
   * Frees an object in every copy and gives its charge back to who paid.
   *
   * @param handle a live object; {@link #NULL} does nothing
   * @throws IllegalArgumentException if it is not a live object: freed already, wild, inside an
   *     object, or the address of a copy
   */
  public void free(long handle) {
    if (handle == NULL) {
      return;
    }
    long freed = chunks.free(handle);
    int payer = PercpuChunks.freedPayer(freed);
    if (payer != PercpuCharger.NOBODY) {
      charger.uncharge(payer, chargeBytes(PercpuChunks.freedBytes(freed)));
    }
    chunks.depopulateIfWanted();
  }

  // ---- access

  /**
   * Where the copy of a slot lies.
   *
   * @param handle a live object
   * @param slotIndex {@link CpuSlot#index} of a slot, {@code 0..nrUnits-1}
   * @return the address of its first byte, aligned as the object
   * @throws IllegalArgumentException if no object can have that handle, or the index is out of
   *     range
   */
  public long address(long handle, int slotIndex) {
    if (Integer.compareUnsigned(slotIndex, chunks.nrUnits()) >= 0) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "no copy for this slot: slotIndex=%d legal=0..%d",
              slotIndex,
              chunks.nrUnits() - 1));
    }
    checkHandle(handle);
    return addressOf(handle, slotIndex);
  }

  /**
   * Where the copy of a slot lies.
   *
   * @param handle a live object
   * @param slot the slot; not the overflow slot, which has no copy: its holder claims a shared one
   * @return the address of its first byte, aligned as the object
   * @throws IllegalArgumentException if no object can have that handle, or the slot has no copy
   */
  public long address(long handle, CpuSlot slot) {
    return address(handle, slot.index());
  }

  private static long addressOf(long handle, int unit) {
    return handle + (long) unit * PercpuChunk.UNIT_SIZE;
  }

  private void checkHandle(long handle) {
    if (!chunks.isUsable(handle)) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "bad per-CPU handle: not from this per-CPU allocator: handle=0x%x",
              handle));
    }
  }

  /**
   * Adds to an 8-byte counter in the slot's copy. Cost: a load and a store.
   *
   * @param counter a live object of at least 8 bytes, aligned to 8
   * @param slot a slot that the caller owns, or the overflow slot, which costs the claim of a
   *     shared one
   * @param amount what to add; wraps around
   * @throws IllegalArgumentException if no object can have that handle
   */
  public void add(long counter, CpuSlot slot, long amount) {
    int index = slot.index();
    if (index < 0) {
      addShared(counter, amount);
      return;
    }
    assert slot == slots.slot(index) && slot.isOwnedByCaller() : slot;
    checkHandle(counter);
    addTo(addressOf(counter, index), amount);
  }

  /**
   * As {@link #add(long, CpuSlot, long)} on the slot that the calling thread has, or on a shared
   * one.
   *
   * @param counter a live object of at least 8 bytes, aligned to 8
   * @param amount what to add; wraps around
   * @throws IllegalArgumentException if no object can have that handle
   */
  public void add(long counter, long amount) {
    CpuSlot slot = charger.currentSlot();
    add(counter, slot == null ? slots.overflow() : slot, amount);
  }

  private void addShared(long counter, long amount) {
    checkHandle(counter);
    CpuSlot slot = slots.claimShared();
    try {
      addTo(addressOf(counter, slot.index()), amount);
    } finally {
      slot.release();
    }
  }

  private void addTo(long address, long amount) {
    LONG.setOpaque(memory, address, (long) LONG.get(memory, address) + amount);
  }

  /**
   * Adds to a 4-byte counter in the slot's copy. Cost: a load and a store.
   *
   * @param counter a live object
   * @param slot a slot that the caller owns, or the overflow slot, which costs the claim of a
   *     shared one
   * @param amount what to add; wraps around
   * @throws IllegalArgumentException if no object can have that handle
   */
  public void addInt(long counter, CpuSlot slot, int amount) {
    checkHandle(counter);
    if (slot.index() >= 0) {
      assert slot == slots.slot(slot.index()) && slot.isOwnedByCaller() : slot;
      addIntTo(addressOf(counter, slot.index()), amount);
      return;
    }
    CpuSlot shared = slots.claimShared();
    try {
      addIntTo(addressOf(counter, shared.index()), amount);
    } finally {
      shared.release();
    }
  }

  private void addIntTo(long address, int amount) {
    INT.setOpaque(memory, address, (int) INT.get(memory, address) + amount);
  }

  /**
   * The value of an 8-byte counter: of all copies. Every addition that happened before is in it,
   * one that runs at the same time once or not at all. Cost: a load per slot.
   *
   * @param counter a live object of at least 8 bytes, aligned to 8
   * @return the sum; wraps around
   * @throws IllegalArgumentException if no object can have that handle
   */
  public long sum(long counter) {
    checkHandle(counter);
    long sum = 0;
    for (int unit = 0; unit < chunks.nrUnits(); unit++) {
      sum += (long) LONG.getOpaque(memory, addressOf(counter, unit));
    }
    return sum;
  }

  /**
   * The value of a 4-byte counter, as {@link #sum}.
   *
   * @param counter a live object
   * @return the sum; wraps around
   * @throws IllegalArgumentException if no object can have that handle
   */
  public int sumInt(long counter) {
    checkHandle(counter);
    int sum = 0;
    for (int unit = 0; unit < chunks.nrUnits(); unit++) {
      sum += (int) INT.getOpaque(memory, addressOf(counter, unit));
    }
    return sum;
  }

  /**
   * What one slot's copy of an 8-byte counter has. Any thread; racy while its owner adds.
   *
   * @param counter a live object of at least 8 bytes, aligned to 8
   * @param slotIndex {@code 0..nrUnits-1}
   * @return the value of that copy
   * @throws IllegalArgumentException if no object can have that handle, or the index is out of
   *     range
   */
  public long value(long counter, int slotIndex) {
    return (long) LONG.getOpaque(memory, address(counter, slotIndex));
  }

  // ---- look

  /**
   * Number of copies of each object: one for every slot, of both kinds.
   *
   * @return {@link CpuSlots#nrSlots}
   */
  public int nrUnits() {
    return chunks.nrUnits();
  }

  /**
   * Size of a live object.
   *
   * @param handle a live object
   * @return what was asked for, rounded up to 4
   * @throws IllegalArgumentException if it is not a live object
   */
  public int size(long handle) {
    return chunks.size(handle);
  }

  /**
   * What an object is charged: its size, rounded up to 4, for every slot, and once more 1.07 of it
   * for the bookkeeping on the Java heap, which is a payer's number of 4 bytes and 2 bits for each
   * 4 bytes, and the hints.
   *
   * @param nrBytes 1 to {@link #MAX_SIZE}
   * @return bytes
   * @throws IllegalArgumentException if the size is out of range
   */
  public long chargeBytes(int nrBytes) {
    checkSize(nrBytes);
    long size = roundUp(nrBytes);
    long bookkeeping =
        Math.ceilDiv(size * PercpuChunk.BOOKKEEPING_BYTES_PER_PAGE, PercpuChunk.PAGE_SIZE);
    return size * chunks.nrUnits() + bookkeeping;
  }

  /**
   * What this allocator holds. Walks all objects with the lock held: for people and tests.
   *
   * @return figures of this moment
   */
  public PercpuStats stats() {
    return chunks.stats();
  }

  /**
   * Live objects.
   *
   * @return their number
   */
  public long nrLive() {
    return chunks.nrLive();
  }

  /** Shown the live objects by {@link PercpuAllocator#forEach}. */
  @FunctionalInterface
  public interface Visitor {
    /**
     * One object.
     *
     * @param handle what it is freed by
     * @param nrBytes its size, rounded up to 4
     * @param payer what the charger returned for it
     */
    void visit(long handle, int nrBytes, int payer);
  }

  /**
   * Shows all live objects. Those of a chunk are of one moment; objects that are allocated or freed
   * meanwhile may be missing, or be freed when they are shown. No lock is held during a visit.
   *
   * @param visitor may allocate and free
   */
  public void forEach(Visitor visitor) {
    chunks.forEach(visitor);
  }

  /**
   * Gives the memory of all pages without objects back to the OS now. Frees do so by themselves
   * when a quarter of a chunk is empty and enough empty pages are elsewhere, or when a second chunk
   * is free.
   *
   * @return bytes given back, of all copies; what was never touched counts too
   */
  public long shrink() {
    return chunks.shrink();
  }

  /**
   * Ends allocation and gives the address space back, if no object is live. No other thread may
   * access objects at the same time. Closing a second time does nothing.
   *
   * @throws IllegalStateException if objects are live: the allocator stays open
   */
  @Override
  public void close() {
    long nrLive = chunks.close();
    if (nrLive > 0) {
      throw new IllegalStateException(
          "per-CPU allocator closed with live objects: nrObjects=" + nrLive);
    }
  }

  void checkInvariants() {
    chunks.checkInvariants();
  }

  @Override
  public String toString() {
    return "PercpuAllocator[nrUnits=" + nrUnits() + ", nrLive=" + nrLive() + "]";
  }
}
