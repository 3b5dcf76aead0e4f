package io.memcg4j.percpu;

import static java.lang.invoke.MethodHandles.arrayElementVarHandle;

import java.lang.invoke.VarHandle;
import java.util.Objects;

/**
 * A number that many threads add to and few read. An addition is a plain load and store on the
 * caller's slot; what a slot has gathered goes to the shared total in batches.
 *
 * <p>{@link #approximate} is one load and off by less than {@link #errorBound}; {@link #sum} is
 * exact and looks at every slot. The value is a {@code long} that wraps around.
 *
 * <p>All methods may be called by any thread; a {@code slot} argument must be owned by the caller,
 * or be {@link CpuSlots#overflow}, which costs an atomic add. Memory: 128 bytes a slot and 400
 * more.
 *
 * <p>Origin: {@code percpu_counter} of Linux.
 */
public final class PercpuCounter {
  /*
   * Layout     one array, a stride of 128 bytes for each of: nothing (keeps the array's length, which
   *            everybody reads, away from what is written), the total and the lock, every slot, and
   *            nothing (keeps the next object away). The fields of this object are never written.
   * Invariant  value = total + sum of the slots' deltas; |delta + tentative| < batch for every slot.
   * Ordering   fold: total += delta and delta = 0, both under the lock; sum reads under the lock. So
   *            a delta that moves is read exactly once (CounterSumStress, twin: no lock).
   *            limit: value and all tentative additions are at most total + errorBound. So whoever
   *            adds and sees that total + errorBound leaves room stays below the limit. Without the
   *            lock: write tentative, then read lock and total. When there is no such room: take the
   *            lock, wait until no slot is tentative, sum, add. All volatile, so either the first sees
   *            the lock, and takes it too, or the second waits for the first one's addition
   *            (CounterLimitStress, twin: a total that is read only before the addition).
   * Locks      one spinning word. Held for one fold, or for one look at every slot; nothing is called
   *            under it, so it is legal under any lock.
   * Not        limitedAdd and compare do not see what add() adds at the same time, and an add()
   * guaranteed that raises the value knows no limit. A sum is no snapshot: of two additions that run
   *            while it looks, it may have the later one and miss the earlier one.
   * Origin     the idea of Linux lib/percpu_counter.c; none of its text or code.
   */
  private static final int STRIDE = 16; // longs: a pair of cache lines, which are fetched together
  static final int TOTAL = STRIDE;
  private static final int LOCK = TOTAL + 1;
  private static final int FIRST_SLOT = 2 * STRIDE;
  private static final int TENTATIVE = 1; // behind the slot's delta

  /** Words in use at the start of a stride. */
  static final int NR_WORDS_USED = 2;

  private static final int NO_SLOT = -1;

  private static final int MIN_DEFAULT_BATCH = 32;

  private static final VarHandle WORD = arrayElementVarHandle(long[].class);

  private final CpuSlots slots;
  private final long[] words;
  private final int batch;
  private final long errorBound;

  /**
   * A counter at zero with the default batch: 32, or twice the number of processors if that is
   * more.
   *
   * @param slots the slots whose owners will add
   */
  public PercpuCounter(CpuSlots slots) {
    this(slots, Math.max(MIN_DEFAULT_BATCH, 2 * Runtime.getRuntime().availableProcessors()));
  }

  /**
   * A counter at zero.
   *
   * @param slots the slots whose owners will add
   * @param batch what a slot gathers, up or down, before it goes to the total; at least 1. A
   *     smaller one makes {@link #approximate} more precise and additions dearer; 1 makes it exact
   * @throws IllegalArgumentException if {@code batch} is less than 1
   */
  public PercpuCounter(CpuSlots slots, int batch) {
    if (batch < 1) {
      throw new IllegalArgumentException("batch out of range: batch=" + batch + " legal=1..");
    }
    this.slots = Objects.requireNonNull(slots, "slots");
    this.batch = batch;
    this.errorBound = (long) batch * slots.nrSlots();
    this.words = new long[nrWords(slots.nrSlots())];
  }

  /**
   * Adds. Cost: a load and a store, and once a batch the lock and an atomic add.
   *
   * @param slot a slot that the caller owns, or the overflow slot
   * @param amount what to add; may be negative
   */
  public void add(CpuSlot slot, long amount) {
    assert isUsable(slot);
    int index = slot.index();
    if (index < 0) {
      addToTotal(amount);
      return;
    }
    int word = wordOf(index);
    long delta = words[word] + amount;
    if (isBelowBatch(delta)) {
      WORD.setOpaque(words, word, delta);
    } else {
      fold(word, delta);
    }
  }

  /**
   * Adds if the result does not pass the limit. As long as only this method moves the value towards
   * the limit, the value never passes it, not even for a moment. Cost: three stores and a fence,
   * and once a batch the lock, while the result is more than {@link #errorBound} away from the
   * limit; else the lock and a look at every slot.
   *
   * @param slot a slot that the caller owns, or the overflow slot
   * @param limit the highest legal result if {@code amount} is positive, the lowest if it is
   *     negative
   * @param amount what to add; zero always succeeds
   * @return whether it was added
   */
  public boolean limitedAdd(CpuSlot slot, long limit, long amount) {
    assert isUsable(slot);
    if (amount == 0) {
      return true;
    }
    int index = slot.index();
    if (index < 0) {
      return limitedAddLocked(NO_SLOT, limit, amount);
    }
    int word = wordOf(index);
    long delta = words[word] + amount;
    if (isBelowBatch(delta) && isFarFrom(limit, amount)) {
      WORD.setVolatile(words, word + TENTATIVE, amount);
      boolean fits = (long) WORD.getVolatile(words, LOCK) == 0 && isFarFrom(limit, amount);
      if (fits) {
        WORD.setOpaque(words, word, delta);
      }
      WORD.setRelease(words, word + TENTATIVE, 0L);
      if (fits) {
        return true;
      }
    }
    return limitedAddLocked(word, limit, amount);
  }

  /**
   * Makes the value {@code value}. An addition that runs at the same time is either overwritten or
   * comes on top, as a whole.
   *
   * @param value the new value
   */
  public void set(long value) {
    lock();
    settle();
    addToTotal(value - sumLocked());
    unlock();
  }

  /**
   * The total without what slots still hold. One load.
   *
   * @return the value, off by less than {@link #errorBound}
   */
  public long approximate() {
    return (long) WORD.getVolatile(words, TOTAL);
  }

  /**
   * The exact value: every addition that happened before the call is in it once, one that runs at
   * the same time once or not at all. Cost: the lock and a look at every slot; owners go on adding.
   *
   * @return the value
   */
  public long sum() {
    lock();
    long sum = sumLocked();
    unlock();
    return sum;
  }

  /**
   * Compares the value with a number; costs no more than {@link #approximate} when they are further
   * apart than {@link #errorBound}, and a {@link #sum} when they are not.
   *
   * @param rhs what to compare with
   * @return -1, 0 or 1 as the value is less than, equal to or greater than {@code rhs}
   */
  public int compare(long rhs) {
    long value = approximate();
    long distance = value >= rhs ? value - rhs : rhs - value; // unsigned
    if (Long.compareUnsigned(distance, errorBound) <= 0) {
      value = sum();
    }
    return Long.compare(value, rhs);
  }

  /**
   * What a slot gathers before it goes to the total.
   *
   * @return at least 1
   */
  public int batch() {
    return batch;
  }

  /**
   * The bound of the error of {@link #approximate}: the batch times the number of slots.
   *
   * @return above what {@code approximate()} and {@code sum()} differ by when nobody adds
   */
  public long errorBound() {
    return errorBound;
  }

  @Override
  public String toString() {
    return "PercpuCounter[approximate=" + approximate() + ", errorBound=" + errorBound + "]";
  }

  /**
   * Index in the array of the delta of a slot; TENTATIVE words behind it is what it tries to add.
   */
  static int wordOf(int slotIndex) {
    return FIRST_SLOT + slotIndex * STRIDE;
  }

  static int nrWords(int nrSlots) {
    return wordOf(nrSlots) + STRIDE;
  }

  private boolean isBelowBatch(long delta) {
    return delta < batch && delta > -batch;
  }

  /** Whether the result cannot pass the limit, whatever the slots may hold. */
  private boolean isFarFrom(long limit, long amount) {
    long total = approximate();
    return amount > 0
        ? total <= Long.MAX_VALUE - errorBound && fits(total + errorBound, limit, amount)
        : total >= Long.MIN_VALUE + errorBound && fits(total - errorBound, limit, amount);
  }

  private static boolean fits(long value, long limit, long amount) {
    return amount > 0
        ? limit >= Long.MIN_VALUE + amount && value <= limit - amount
        : limit <= Long.MAX_VALUE + amount && value >= limit - amount;
  }

  private boolean limitedAddLocked(int word, long limit, long amount) {
    lock();
    if (word != NO_SLOT) {
      // Makes room for the next batch, and lets the total tell how far the limit is.
      moveToTotal(word, words[word]);
    }
    boolean fits = isFarFrom(limit, amount);
    if (!fits) {
      settle();
      fits = fits(sumLocked(), limit, amount);
    }
    if (fits) {
      addToTotal(amount);
    }
    unlock();
    return fits;
  }

  private void fold(int word, long delta) {
    lock();
    moveToTotal(word, delta);
    unlock();
  }

  private void moveToTotal(int word, long delta) {
    addToTotal(delta);
    WORD.setOpaque(words, word, 0L);
  }

  /** Atomic because the overflow slot adds without the lock. */
  private void addToTotal(long amount) {
    WORD.getAndAdd(words, TOTAL, amount);
  }

  private long sumLocked() {
    long sum = approximate();
    for (int i = 0; i < slots.nrSlots(); i++) {
      sum += (long) WORD.getOpaque(words, wordOf(i));
    }
    return sum;
  }

  /** With the lock held: waits for those who did not see it. They have two stores to go. */
  private void settle() {
    for (int i = 0; i < slots.nrSlots(); i++) {
      for (int spins = 0; (long) WORD.getVolatile(words, wordOf(i) + TENTATIVE) != 0; spins++) {
        SpinWait.pause(spins);
      }
    }
  }

  private void lock() {
    for (int spins = 0; !WORD.compareAndSet(words, LOCK, 0L, 1L); spins++) {
      SpinWait.pause(spins);
    }
  }

  private void unlock() {
    WORD.setRelease(words, LOCK, 0L);
  }

  private boolean isUsable(CpuSlot slot) {
    return slot == slots.overflow() || (slot == slots.slot(slot.index()) && slot.isOwnedByCaller());
  }
}
