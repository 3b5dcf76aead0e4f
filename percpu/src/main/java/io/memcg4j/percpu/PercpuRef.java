package io.memcg4j.percpu;

import static java.lang.invoke.ConstantBootstraps.fieldVarHandle;
import static java.lang.invoke.MethodHandles.arrayElementVarHandle;
import static java.lang.invoke.MethodHandles.lookup;

import java.lang.invoke.VarHandle;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * A reference count that costs a plain add while the thing it counts is alive, and finds zero once
 * that thing has been killed.
 *
 * <p>Starts live, in per-CPU mode, with one initial reference that stands for the creator. {@link
 * #kill} drops it and makes the count a single atomic number; from then on the last {@link #put}
 * runs {@code onZero}.
 *
 * <table>
 * <caption>What the takers answer</caption>
 * <tr><th></th><th>live</th><th>killed, not zero</th><th>zero</th></tr>
 * <tr><td>{@link #get}</td><td>taken</td><td>taken</td><td>throws</td></tr>
 * <tr><td>{@link #tryGet}</td><td>true</td><td>true</td><td>false</td></tr>
 * <tr><td>{@link #tryGetLive}</td><td>true</td><td>false</td><td>false</td></tr>
 * </table>
 *
 * <p>A reference may be put through another slot, and by another thread, than it was taken. All
 * methods may be called by any thread; a {@code slot} argument must be owned by the caller, or be
 * {@link CpuSlots#overflow}, which costs an atomic add.
 *
 * <p>Memory: 40 bytes; from the first use to the end of the switch also 8 bytes a slot.
 *
 * <p>Origin: {@code percpu_ref} of Linux.
 */
public final class PercpuRef {
  /*
   * Layout     counts is the mode as well: UNTOUCHED (per-CPU mode, no array yet), an array with one
   *            count a slot (per-CPU mode), or ATOMIC. The two markers have length 0, so one load and
   *            one bounds check lead to the plain add or to the slow path. One made by atomic() is
   *            ATOMIC from the start and has no bias. The counts of neighbouring slots share cache
   *            lines: a stride would cost 16 times the memory for each of 100 000s of references, and
   *            the count is touched when a word or a handle is taken, not for every allocation.
   * Invariant  references = count - (biased ? BIAS : 0) + sum of the slots not yet folded. One slot's
   *            count may be negative. biased from (re)start until the last slot is folded, so that
   *            count is not 0 before.
   * Ordering   switch: counts = ATOMIC (CAS), then Fold goes to every slot and runs with the slot
   *            owned. An operation that still saw the array was made by an owner of that slot, who
   *            finishes it before he or a later owner folds; whoever owns the slot after the fold
   *            sees ATOMIC. So a slot's count is final when it is folded
   *            (RefKillVsPutStress, twin: no bias).
   *            restart: count = BIAS + 1, then counts = UNTOUCHED, then dying = false, so a kill
   *            that is let in finds a mode to switch.
   * Locks      none; kill and switchToAtomic do not wait. onZero runs with no lock held, but maybe
   *            with a slot owned: by the thread that puts, or by the one that folds last.
   * Not        in per-CPU mode a put too many is not noticed: as with any count it gives away what
   * guaranteed somebody else holds, and below zero onZero does not run. A slot that is held for ever
   *            is never folded, so zero is not found before its owner does pending work or leaves.
   * Origin     the scheme of Linux lib/percpu-refcount.c (bias, two modes); the grace period is
   *            replaced by owning each slot once. None of its text or code.
   */
  private static final long BIAS = 1L << 62;

  /** Above this, count carries the bias; leaves 2^61 references of room on either side. */
  private static final long BIASED_FROM = 1L << 61;

  private static final long[] UNTOUCHED = {};
  private static final long[] ATOMIC = {};

  private static final VarHandle COUNT =
      fieldVarHandle(lookup(), "count", VarHandle.class, PercpuRef.class, long.class);
  private static final VarHandle COUNTS =
      fieldVarHandle(lookup(), "counts", VarHandle.class, PercpuRef.class, long[].class);
  private static final VarHandle DYING =
      fieldVarHandle(lookup(), "dying", VarHandle.class, PercpuRef.class, boolean.class);
  private static final VarHandle ELEMENT = arrayElementVarHandle(long[].class);

  private final CpuSlots slots;
  private final Runnable onZero;

  private final boolean alwaysAtomic;

  /** References that are not in a slot's count, plus the bias. */
  private volatile long count;

  private volatile long[] counts;

  /** The array being folded, for {@link #count} alone. */
  private volatile long @Nullable [] folding;

  private volatile boolean dying;

  /**
   * A live reference count of one, in per-CPU mode.
   *
   * @param slots the slots whose owners will use it
   * @param onZero runs once each time the count reaches zero, on the thread that got it there,
   *     which may own a slot: must be short, must not block and must not throw; may call {@link
   *     #reinit}
   */
  public PercpuRef(CpuSlots slots, Runnable onZero) {
    this(slots, onZero, false);
  }

  private PercpuRef(CpuSlots slots, Runnable onZero, boolean alwaysAtomic) {
    this.slots = Objects.requireNonNull(slots, "slots");
    this.onZero = Objects.requireNonNull(onZero, "onZero");
    this.alwaysAtomic = alwaysAtomic;
    this.count = alwaysAtomic ? 1 : BIAS + 1;
    this.counts = alwaysAtomic ? ATOMIC : UNTOUCHED;
  }

  /**
   * A live reference count of one that is a single atomic number from the start. For things that
   * are referenced seldom and killed in numbers: zero is found by the last put, whatever slots are
   * held meanwhile, and no slot is asked for anything.
   *
   * @param slots the slots whose owners will use it
   * @param onZero as for {@link #PercpuRef(CpuSlots, Runnable)}
   * @return a reference count that is never in per-CPU mode
   */
  public static PercpuRef atomic(CpuSlots slots, Runnable onZero) {
    return new PercpuRef(slots, onZero, true);
  }

  /**
   * Takes a reference. The caller must know that there is one: the initial one of a reference that
   * is not killed, or its own.
   *
   * @param slot a slot that the caller owns, or the overflow slot
   * @throws IllegalStateException if the count is zero; nothing is changed
   */
  public void get(CpuSlot slot) {
    assert isUsable(slot);
    long[] perSlot = counts;
    int index = slot.index();
    if (index >= 0 && index < perSlot.length) {
      perSlot[index]++;
    } else if (!getSlow(slot)) {
      throw new IllegalStateException("get of a reference that is gone: count=" + count());
    }
  }

  /**
   * Takes a reference unless the count has reached zero.
   *
   * @param slot a slot that the caller owns, or the overflow slot
   * @return whether a reference was taken
   */
  public boolean tryGet(CpuSlot slot) {
    assert isUsable(slot);
    long[] perSlot = counts;
    int index = slot.index();
    if (index >= 0 && index < perSlot.length) {
      perSlot[index]++;
      return true;
    }
    return getSlow(slot);
  }

  /**
   * Takes a reference unless it was killed. False for certain for whoever calls after {@link #kill}
   * has returned.
   *
   * @param slot a slot that the caller owns, or the overflow slot
   * @return whether a reference was taken
   */
  public boolean tryGetLive(CpuSlot slot) {
    assert isUsable(slot);
    long[] perSlot = counts;
    int index = slot.index();
    if (index >= 0 && index < perSlot.length) {
      perSlot[index]++;
      return true;
    }
    return !(perSlot == ATOMIC && dying) && getSlow(slot);
  }

  /**
   * Gives a reference back. The last one of a killed reference runs {@code onZero} before this
   * returns.
   *
   * @param slot a slot that the caller owns, or the overflow slot; need not be the one it was taken
   *     through
   * @throws IllegalStateException if there is none to give back and that can be seen, which it
   *     cannot in per-CPU mode; nothing is changed
   */
  public void put(CpuSlot slot) {
    assert isUsable(slot);
    long[] perSlot = counts;
    int index = slot.index();
    if (index < 0 || index >= perSlot.length) {
      perSlot = touch(slot);
      if (perSlot == ATOMIC) {
        dropShared();
        return;
      }
    }
    perSlot[index]--;
  }

  /** As {@link #kill(CpuSlot)} for a caller that owns no slot. */
  public void kill() {
    kill(null);
  }

  /**
   * Drops the initial reference and switches to atomic mode, so that zero can be found. Does not
   * wait: the slots of others are folded when their owners get to it. Cost: one look at every slot,
   * or nothing if the count was never used in per-CPU mode.
   *
   * @param own a slot that the caller owns, which is then folded at once; null if none
   * @throws IllegalStateException if it was killed already; nothing is changed
   */
  public void kill(@Nullable CpuSlot own) {
    if (!DYING.compareAndSet(this, false, true)) {
      throw new IllegalStateException("killed already: count=" + count());
    }
    switchToAtomic(own);
    if ((long) COUNT.getAndAdd(this, -1L) == 1) {
      onZero.run();
    }
  }

  /** As {@link #switchToAtomic(CpuSlot)} for a caller that owns no slot. */
  public void switchToAtomic() {
    switchToAtomic(null);
  }

  /**
   * Makes the count a single atomic number, without killing. Does nothing if it is one already or
   * is being switched. Does not wait; {@link #count} becomes exact when all slots are folded.
   *
   * @param own a slot that the caller owns, which is then folded at once; null if none
   */
  public void switchToAtomic(@Nullable CpuSlot own) {
    long[] perSlot;
    do {
      perSlot = counts;
      if (perSlot == ATOMIC) {
        return;
      }
    } while (!COUNTS.compareAndSet(this, perSlot, ATOMIC));
    if (perSlot == UNTOUCHED) {
      removeBias();
    } else {
      folding = perSlot;
      slots.submit(new Fold(this, perSlot), own);
    }
  }

  /**
   * Makes a reference that has reached zero live again: one reference, in the mode that it was made
   * in. May be called from {@code onZero}.
   *
   * @throws IllegalStateException if the count is not zero; nothing is changed
   */
  public void reinit() {
    if (!COUNT.compareAndSet(this, 0L, alwaysAtomic ? 1L : BIAS + 1)) {
      throw new IllegalStateException("reinit of a reference that is in use: count=" + count());
    }
    counts = alwaysAtomic ? ATOMIC : UNTOUCHED;
    dying = false;
  }

  /**
   * Whether it was killed and not made live again.
   *
   * @return true from the start of {@link #kill}
   */
  public boolean isDying() {
    return dying;
  }

  /**
   * Whether the last reference is gone.
   *
   * @return true once the count has reached zero, until {@link #reinit}
   */
  public boolean isZero() {
    return count == 0;
  }

  /**
   * Number of references. Exact in atomic mode; before all slots are folded a racy sum, which may
   * be off by the operations that run at the same time (a slot being folded may be missed or be
   * counted twice).
   *
   * @return references held, the initial one included; negative after a put too many
   */
  public long count() {
    long shared = count;
    if (shared < BIASED_FROM) {
      return shared;
    }
    long sum = shared - BIAS;
    long[] perSlot = counts;
    if (perSlot == ATOMIC) {
      perSlot = Objects.requireNonNullElse(folding, ATOMIC);
    }
    for (int i = 0; i < perSlot.length; i++) {
      sum += (long) ELEMENT.getOpaque(perSlot, i);
    }
    return sum;
  }

  @Override
  public String toString() {
    String mode = counts == ATOMIC ? "atomic" : "percpu";
    return "PercpuRef[count=" + count() + ", mode=" + mode + ", dying=" + dying + "]";
  }

  private boolean getSlow(CpuSlot slot) {
    long[] perSlot = touch(slot);
    if (perSlot != ATOMIC) {
      perSlot[slot.index()]++;
      return true;
    }
    long shared;
    do {
      shared = count;
      if (shared <= 0) {
        return false;
      }
    } while (!COUNT.compareAndSet(this, shared, shared + 1));
    return true;
  }

  private void dropShared() {
    long shared;
    do {
      shared = count;
      if (shared <= 0) {
        throw new IllegalStateException("put without a get: count=" + shared);
      }
    } while (!COUNT.compareAndSet(this, shared, shared - 1));
    if (shared == 1) {
      onZero.run();
    }
  }

  /** The array to use with {@code slot}, made on first use, or ATOMIC to use the shared count. */
  private long[] touch(CpuSlot slot) {
    if (slot.index() < 0) {
      return ATOMIC; // nobody owns the overflow slot; the shared count is right in both modes
    }
    long[] perSlot = counts;
    if (perSlot == UNTOUCHED) {
      long[] fresh = new long[slots.nrSlots()];
      perSlot = (long[]) COUNTS.compareAndExchange(this, UNTOUCHED, fresh);
      if (perSlot == UNTOUCHED) {
        return fresh;
      }
    }
    return perSlot;
  }

  /** The last step of a switch. */
  private void removeBias() {
    folding = null;
    if ((long) COUNT.getAndAdd(this, -BIAS) == BIAS) {
      onZero.run();
    }
  }

  private boolean isUsable(CpuSlot slot) {
    return slot == slots.overflow() || (slot == slots.slot(slot.index()) && slot.isOwnedByCaller());
  }

  /**
   * Moves each slot's count to the shared one. Made for one switch, so it runs once on each slot.
   */
  private static final class Fold extends SlotWork {
    private final PercpuRef ref;
    private final long[] perSlot;
    private final AtomicInteger nrUnfolded;

    Fold(PercpuRef ref, long[] perSlot) {
      super(ref.slots);
      this.ref = ref;
      this.perSlot = perSlot;
      this.nrUnfolded = new AtomicInteger(perSlot.length);
    }

    @Override
    protected void run(CpuSlot slot) {
      long nrRefs = perSlot[slot.index()];
      if (nrRefs != 0) {
        perSlot[slot.index()] = 0;
        COUNT.getAndAdd(ref, nrRefs);
      }
      if (nrUnfolded.decrementAndGet() == 0) {
        ref.removeBias();
      }
    }
  }
}
