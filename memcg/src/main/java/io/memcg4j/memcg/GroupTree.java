package io.memcg4j.memcg;

import io.memcg4j.percpu.CpuSlot;
import io.memcg4j.percpu.CpuSlots;
import io.memcg4j.percpu.PerCpu;
import java.util.Arrays;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** What the groups of one tree share: the slots and their stocks, the lock, the floors above. */
final class GroupTree {
  /*
   * Layout     one instance per root; groups point at it.
   * Locks      shape: held by create, remove and the first use of a subsystem. Lookups and charges
   *            never take it. Under it: offline() and the factories of subsystems, which must not
   *            create or remove groups. A ReentrantLock, so a virtual thread that waits frees
   *            its carrier.
   */
  private record Hook(Class<?> type, MemCgroup.Subsystem subsystem) {}

  private final CpuSlots slots;
  private final PerCpu<PageStock> stocks;
  private final StockDrain stockDrain;
  private final ReentrantLock shape = new ReentrantLock();
  private final ReentrantLock oomLock = new ReentrantLock();
  private final StatTree stat = new StatTree();
  private final EventBell eventBell = new EventBell();
  private final ConcurrentLinkedQueue<MemCgroup> dying = new ConcurrentLinkedQueue<>();
  private final Set<Thread> stalledThreads = ConcurrentHashMap.newKeySet();
  private final PressureTimer pressureTimer = new PressureTimer();
  private volatile boolean usesHigh;
  private volatile Hook[] hooks = {}; // replaced under shape, never changed

  GroupTree(CpuSlots slots) {
    this.slots = slots;
    this.stocks = new PerCpu<>(slots, index -> new PageStock());
    this.stockDrain = new StockDrain(this);
  }

  CpuSlots slots() {
    return slots;
  }

  /** The caller owns the slot. */
  PageStock stock(CpuSlot slot) {
    return stocks.get(slot);
  }

  StockDrain stockDrain() {
    return stockDrain;
  }

  /** Held while a victim is chosen. */
  ReentrantLock oomLock() {
    return oomLock;
  }

  StatTree stat() {
    return stat;
  }

  PressureTimer pressureTimer() {
    return pressureTimer;
  }

  EventBell eventBell() {
    return eventBell;
  }

  /** From now on charges look for high limits. */
  void useHigh() {
    usesHigh = true;
  }

  boolean usesHigh() {
    return usesHigh;
  }

  ReentrantLock shape() {
    return shape;
  }

  /** Racy, any thread. */
  boolean holds(CpuSlot slot, MemCgroup subtree) {
    if (stocks.get(slot).holds(subtree)) {
      return true;
    }
    for (Hook hook : hooks) {
      if (hook.subsystem.holds(slot, subtree)) {
        return true;
      }
    }
    return false;
  }

  /** Threads that wait for memory of this tree. */
  Set<Thread> stalledThreads() {
    return stalledThreads;
  }

  /** Racy, any thread. */
  @Nullable MemCgroup payerOf(Thread owner) {
    for (Hook hook : hooks) {
      MemCgroup payer = hook.subsystem.payerOf(owner);
      if (payer != null) {
        return payer;
      }
    }
    return null;
  }

  /** The caller owns the slot. Without a subtree only entries of removed groups go. */
  void drainSlot(CpuSlot slot, @Nullable MemCgroup subtree) {
    if (subtree != null) {
      for (Hook hook : hooks) {
        hook.subsystem.drain(slot, subtree);
      }
    }
    stocks.get(slot).drain(subtree);
  }

  /** Keeps a removed group in sight until nothing holds it. */
  void noteDying(MemCgroup removed) {
    dying.removeIf(group -> !isHeld(group));
    if (isHeld(removed)) {
      dying.add(removed);
    }
  }

  int nrDying(MemCgroup ancestor) {
    dying.removeIf(group -> !isHeld(group));
    int sum = 0;
    for (MemCgroup group : dying) {
      sum += group != ancestor && group.isDescendantOf(ancestor) ? 1 : 0;
    }
    return sum;
  }

  private boolean isHeld(MemCgroup group) {
    if (group.hasOpenCharges()) {
      return true;
    }
    for (int i = 0; i < slots.nrSlots(); i++) {
      if (holds(slots.slot(i), group)) {
        return true;
      }
    }
    return false;
  }

  /** The caller holds the lock. */
  void offline(MemCgroup dying, MemCgroup parent) {
    for (Hook hook : hooks) {
      hook.subsystem.offline(dying, parent);
    }
  }

  <S extends MemCgroup.Subsystem> S subsystem(
      Class<S> type, MemCgroup root, Function<? super MemCgroup, ? extends S> factory) {
    S present = find(type);
    if (present != null) {
      return present;
    }
    shape.lock();
    try {
      present = find(type);
      if (present != null) {
        return present;
      }
      S made = factory.apply(root);
      Hook[] longer = Arrays.copyOf(hooks, hooks.length + 1);
      longer[longer.length - 1] = new Hook(type, made);
      hooks = longer;
      return made;
    } finally {
      shape.unlock();
    }
  }

  private <S extends MemCgroup.Subsystem> @Nullable S find(Class<S> type) {
    for (Hook hook : hooks) {
      if (hook.type == type) {
        return type.cast(hook.subsystem);
      }
    }
    return null;
  }

  /** Racy: all pages in page stocks, for tests. */
  long nrStockPages() {
    long[] sum = {0};
    stocks.forEach(stock -> sum[0] += stock.nrPages());
    return sum[0];
  }
}
