package io.memcg4j.percpu;

import java.util.concurrent.atomic.AtomicIntegerArray;
import org.jspecify.annotations.Nullable;

/**
 * Something that has to be done on every slot by whoever owns it: draining a stock, folding a
 * per-slot count. See {@link CpuSlots#submit}.
 *
 * <p>One instance can be submitted again and again; while it is still queued on a busy slot it is
 * not queued there a second time, so a request that is repeated a million times costs one node.
 *
 * <p>Origin: the kernel's per-CPU work items ({@code schedule_on_each_cpu}), without the worker
 * threads.
 */
public abstract class SlotWork {
  private static final int QUEUED = 1;

  private final AtomicIntegerArray queued;

  /**
   * Work for the slots of one instance.
   *
   * @param slots the slots that it will be submitted to
   */
  protected SlotWork(CpuSlots slots) {
    this.queued = new AtomicIntegerArray(slots.nrSlots());
  }

  /**
   * Runs with {@code slot} owned by the calling thread, so plain access to per-slot data is legal.
   * Must be short, must not block and must not throw.
   *
   * @param slot the slot to work on
   */
  protected abstract void run(CpuSlot slot);

  /**
   * Whether the caller has to push a node: false when one is waiting on that slot already. A write
   * in either case, which the runner reads: it sees what any submitter wrote before it asked.
   */
  final boolean enqueue(int slotIndex) {
    return queued.getAndSet(slotIndex, QUEUED) != QUEUED;
  }

  /** Marked as not queued first: a request that comes while {@link #run} is busy is a new one. */
  final void runQueued(CpuSlot slot) {
    queued.getAndSet(slot.index(), 0);
    run(slot);
  }

  /** A link of a slot's work stack. */
  record Node(SlotWork work, @Nullable Node next) {}
}
