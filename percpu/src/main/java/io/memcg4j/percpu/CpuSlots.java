package io.memcg4j.percpu;

import org.jspecify.annotations.Nullable;

/**
 * The fixed set of slots of one instance.
 *
 * <p>Two kinds: <em>scope slots</em> are held for as long as a thread stays inside a scope, which
 * for a parked virtual thread can be for ever; <em>shared slots</em> are claimed for one operation
 * by threads that have no slot of their own. When all scope slots are held, further scopes hold
 * {@link #overflow}, which caches nothing, and borrow a shared slot per operation, so that a
 * million parked scopes hold no memory beyond the fixed set.
 *
 * <p>Thread-safe. Memory: about 300 bytes a slot.
 */
public final class CpuSlots {
  private static final int NR_CPUS = Runtime.getRuntime().availableProcessors();
  private static final int MIN_SCOPE_SLOTS = 16;
  private static final int MAX_DEFAULT_SCOPE_SLOTS = 256;
  private static final int SCOPE_SLOTS_PER_CPU = 4;
  private static final int MIN_SHARED_SLOTS = 4;
  private static final int MAX_SLOTS = 1 << 12;

  private final CpuSlot[] slots;
  private final int nrScopeSlots;
  private final CpuSlot overflow = new CpuSlot(-1, true);

  private CpuSlots(int nrScopeSlots, int nrSharedSlots) {
    this.nrScopeSlots = nrScopeSlots;
    this.slots = new CpuSlot[nrScopeSlots + nrSharedSlots];
    for (int i = 0; i < slots.length; i++) {
      slots[i] = new CpuSlot(i, i >= nrScopeSlots);
    }
  }

  /**
   * Slots for this machine: four scope slots a processor (at least 16, at most 256) and two shared
   * slots a processor (at least 4).
   *
   * @return a new set
   */
  public static CpuSlots create() {
    int nrScope =
        Math.min(MAX_DEFAULT_SCOPE_SLOTS, Math.max(MIN_SCOPE_SLOTS, NR_CPUS * SCOPE_SLOTS_PER_CPU));
    return create(nrScope, Math.max(MIN_SHARED_SLOTS, 2 * NR_CPUS));
  }

  /**
   * A set of a given size.
   *
   * @param nrScopeSlots slots that scopes can hold, {@code 0..4095}
   * @param nrSharedSlots slots for single operations, {@code 1..4096}
   * @return a new set
   * @throws IllegalArgumentException if a number is out of range, or their sum is above 4096
   */
  public static CpuSlots create(int nrScopeSlots, int nrSharedSlots) {
    if (nrScopeSlots < 0 || nrSharedSlots < 1 || nrScopeSlots + (long) nrSharedSlots > MAX_SLOTS) {
      throw new IllegalArgumentException(
          "number of slots out of range: nrScopeSlots="
              + nrScopeSlots
              + " nrSharedSlots="
              + nrSharedSlots
              + " legal=0..,1..,sum<="
              + MAX_SLOTS);
    }
    return new CpuSlots(nrScopeSlots, nrSharedSlots);
  }

  /**
   * Number of slots of both kinds.
   *
   * @return the bound of {@link CpuSlot#index}
   */
  public int nrSlots() {
    return slots.length;
  }

  /**
   * Number of slots that scopes can hold.
   *
   * @return scope slots; they have the lower indexes
   */
  public int nrScopeSlots() {
    return nrScopeSlots;
  }

  /**
   * The slot at an index.
   *
   * @param index {@code 0..nrSlots-1}
   * @return the slot, owned by whoever claimed it
   */
  public CpuSlot slot(int index) {
    return slots[index];
  }

  /**
   * The slot of scopes that found none free. Never owned, never armed; many scopes hold it at once.
   *
   * @return the slot that caches nothing
   */
  public CpuSlot overflow() {
    return overflow;
  }

  /**
   * Where a thread that has held no slot yet begins to look for one. Virtual threads may be many
   * and short: each begins at an idle slot of the processor that it runs on, so that what the one
   * before it used is in that processor's caches. Platform threads stay: each begins at another
   * slot, as its id says, and so does a virtual thread whose processor has no idle slot, or is not
   * known.
   *
   * @return a hint for {@link #tryClaim(int)}; racy, as all hints
   */
  public int firstHint() {
    Thread thread = Thread.currentThread();
    return firstHint(thread, cpuOf(thread));
  }

  int firstHint(Thread thread, int cpu) {
    if (cpu != CurrentCpu.UNKNOWN && nrScopeSlots != 0) {
      int first = firstOf(cpu, nrScopeSlots);
      int end = Math.min(first + perCpu(nrScopeSlots), nrScopeSlots);
      for (int index = first; index < end; index++) {
        if (slots[index].owner == 0) {
          return index;
        }
      }
    }
    return (int) (thread.threadId() & Integer.MAX_VALUE);
  }

  /** Of the calling thread, if it is one of those that shall stay near their processor. */
  private static int cpuOf(Thread thread) {
    return thread.isVirtual() ? CurrentCpu.number() : CurrentCpu.UNKNOWN;
  }

  private static int perCpu(int nrSlots) {
    return Math.max(1, nrSlots / NR_CPUS);
  }

  /** The first of a processor's slots among so many of a kind; any number is a processor's. */
  private static int firstOf(int cpu, int nrSlots) {
    return (int) ((long) cpu * perCpu(nrSlots) % nrSlots);
  }

  /**
   * Claims an idle scope slot for the calling thread. One CAS when {@code hint} is idle.
   *
   * @param hint index to try first: the slot that the thread held last, so that its caches are
   *     warm; any number is accepted
   * @return the slot, to be given back with {@link CpuSlot#release}; null if all are held
   */
  public @Nullable CpuSlot tryClaim(int hint) {
    Thread thread = Thread.currentThread();
    int index = nrScopeSlots == 0 ? 0 : Math.floorMod(hint, nrScopeSlots);
    for (int i = 0; i < nrScopeSlots; i++) {
      CpuSlot slot = slots[index];
      if (slot.tryOwn(thread)) {
        return slot;
      }
      if (++index == nrScopeSlots) {
        index = 0;
      }
    }
    return null;
  }

  /**
   * Claims a certain slot for the calling thread if it is idle. One CAS.
   *
   * @param slot the slot, of either kind
   * @return whether it is the caller's now, to be given back with {@link CpuSlot#release}
   */
  public boolean tryClaim(CpuSlot slot) {
    return slot.owner == 0 && slot.tryOwn(Thread.currentThread());
  }

  /**
   * Claims a shared slot for one operation of the calling thread. The holder must not block, call
   * user code or claim a second one before it gives the slot back; so while all are taken the wait
   * is short, and it spins and yields.
   *
   * @return the slot, to be given back with {@link CpuSlot#release}
   */
  public CpuSlot claimShared() {
    Thread thread = Thread.currentThread();
    int nrShared = slots.length - nrScopeSlots;
    int start = firstShared(thread, cpuOf(thread));
    for (int spins = 0; ; spins++) {
      for (int i = 0; i < nrShared; i++) {
        int index = start + i < nrShared ? start + i : start + i - nrShared;
        CpuSlot slot = slots[nrScopeSlots + index];
        if (slot.tryOwn(thread)) {
          return slot;
        }
      }
      SpinWait.pauseLong(spins);
    }
  }

  /** Among the shared ones; a thread whose processor is not known comes back to the same. */
  int firstShared(Thread thread, int cpu) {
    int nrShared = slots.length - nrScopeSlots;
    return cpu == CurrentCpu.UNKNOWN
        ? (int) (((thread.threadId() * 0x9E3779B97F4A7C15L) >>> 33) % nrShared)
        : firstOf(cpu, nrShared);
  }

  /**
   * Has {@code work} run once on every slot: at once, by the caller, on those that are idle; by the
   * owner, at its next operation or at the latest when it leaves its scope, on those that are busy.
   * The caller's own slot counts as busy unless it is named.
   *
   * @param work what to run; may be submitted again at any time
   * @param own a slot that the caller owns, to run the work there at once; null if none
   * @return on how many slots the work is still to be done
   */
  public int submit(SlotWork work, @Nullable CpuSlot own) {
    Thread thread = Thread.currentThread();
    int nrPending = 0;
    for (CpuSlot slot : slots) {
      if (slot == own) {
        slot.runWork();
        work.run(slot);
      } else if (slot.tryOwn(thread)) {
        runAndRelease(slot, work);
      } else {
        slot.push(work);
        if (!finishIfIdle(slot, thread)) {
          nrPending++;
        }
      }
    }
    return nrPending;
  }

  /**
   * As {@link #submit(SlotWork, CpuSlot)} for a caller that owns no slot.
   *
   * @param work what to run
   * @return on how many slots the work is still to be done
   */
  public int submit(SlotWork work) {
    return submit(work, null);
  }

  private static void runAndRelease(CpuSlot slot, SlotWork work) {
    try {
      slot.runWork();
      work.run(slot);
    } finally {
      slot.release();
    }
  }

  /** The owner may have released the slot after the first look and before the push. */
  private static boolean finishIfIdle(CpuSlot slot, Thread thread) {
    if (slot.tryOwn(thread)) {
      slot.release();
      return true;
    }
    return false;
  }

  /**
   * Number of slots that are held right now. Racy; for statistics and tests.
   *
   * @return {@code 0..nrSlots}
   */
  public int nrBusy() {
    int nrBusy = 0;
    for (CpuSlot slot : slots) {
      if (slot.owner != 0) {
        nrBusy++;
      }
    }
    return nrBusy;
  }
}
