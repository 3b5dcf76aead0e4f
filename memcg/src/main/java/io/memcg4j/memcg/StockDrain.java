package io.memcg4j.memcg;

import io.memcg4j.percpu.CpuSlot;
import io.memcg4j.percpu.SlotWork;
import java.util.concurrent.atomic.AtomicReferenceArray;
import org.jspecify.annotations.Nullable;

/**
 * Has slots give back what they hold in advance for a subtree: at once on idle slots, by the owner
 * on busy ones.
 */
final class StockDrain extends SlotWork {
  /*
   * Layout     one work item per tree, and per slot the subtree that is to be drained there.
   * Invariant  requests that a busy slot has not served yet are merged into their nearest common
   *            ancestor: what is pending takes one word a slot, however many groups ask, and
   *            at worst more is drained than was asked for.
   * Ordering   a request writes the slot's subtree, then submits; the work takes the subtree after
   *            it was taken off the queue. So a request that finds the work still queued is served
   *            by that run. Removal clears "online", then submits; a stock looks at "online" before
   *            it makes an entry, and the slot's owner runs the work after that: no entry of a
   *            removed group outlives the work.
   * Locks      none. Runs with the slot owned; subsystems first, as they hand pages to the counters
   *            and to nobody's page stock.
   * Not        that a busy slot is drained on return.
   * guaranteed
   * Origin     drain_all_stock of Linux mm/memcontrol.c.
   */
  enum Outcome {
    NOTHING_HELD,
    DRAINED,
    /** At least one busy slot holds something and was asked for it. */
    ASKED_BUSY
  }

  private final GroupTree tree;
  private final AtomicReferenceArray<@Nullable MemCgroup> subtrees;

  StockDrain(GroupTree tree) {
    super(tree.slots());
    this.tree = tree;
    this.subtrees = new AtomicReferenceArray<>(tree.slots().nrSlots());
  }

  /** Asks every slot. */
  void drain(MemCgroup subtree) {
    for (int i = 0; i < subtrees.length(); i++) {
      ask(i, subtree);
    }
    tree.slots().submit(this);
  }

  /**
   * Asks the slots that seem to hold something; claims no other slot when there are none. {@code
   * own} is drained at once.
   */
  Outcome drainForCharge(CpuSlot own, MemCgroup subtree) {
    boolean held = false;
    boolean heldElsewhere = false;
    for (int i = 0; i < subtrees.length(); i++) {
      if (tree.holds(tree.slots().slot(i), subtree)) {
        ask(i, subtree);
        held = true;
        heldElsewhere |= i != own.index();
      }
    }
    if (!held) {
      return Outcome.NOTHING_HELD;
    }
    if (!heldElsewhere) {
      run(own);
      return Outcome.DRAINED;
    }
    return tree.slots().submit(this, own) == 0 ? Outcome.DRAINED : Outcome.ASKED_BUSY;
  }

  private void ask(int slotIndex, MemCgroup subtree) {
    MemCgroup asked;
    MemCgroup merged;
    do {
      asked = subtrees.get(slotIndex);
      merged = asked == null ? subtree : asked.commonAncestor(subtree);
    } while (merged != asked && !subtrees.compareAndSet(slotIndex, asked, merged));
  }

  @Override
  protected void run(CpuSlot slot) {
    MemCgroup subtree = subtrees.getAndSet(slot.index(), null);
    tree.drainSlot(slot, subtree);
  }
}
