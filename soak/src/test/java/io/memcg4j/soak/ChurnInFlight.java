package io.memcg4j.soak;

import static io.memcg4j.soak.ChurnBlocks.put;

import java.util.concurrent.atomic.AtomicLongArray;

/**
 * Blocks that are out of sight while a scan's first pass runs, as if a thread had the only pointers
 * in its registers. For the second pass they are held again: each other one by a holder that is
 * younger than that pass. For one thread.
 */
final class ChurnInFlight {
  private final ChurnBlocks.Heap heap;
  private final ChurnBlocks blocks;
  private final AtomicLongArray holders;
  private boolean isHeld;

  ChurnInFlight(ChurnBlocks.Heap heap, ChurnBlocks blocks) {
    this.heap = heap;
    this.blocks = blocks;
    holders = new AtomicLongArray(blocks.size());
    giveBack();
  }

  void take() {
    isHeld = false;
    for (int number = 0; number < blocks.size(); number++) {
      long holder = holders.getAndSet(number, 0);
      if (number % 2 == 0) {
        heap.clearAndFree(holder, 1);
      }
    }
  }

  void giveBack() {
    if (isHeld) {
      return;
    }
    isHeld = true;
    for (int number = 0; number < blocks.size(); number++) {
      long holder = blocks.pointer(number);
      if (number % 2 == 0) {
        holder = heap.allocate(1);
        put(holder, blocks.pointer(number));
      }
      holders.set(number, holder);
    }
  }

  void free() {
    take();
    for (int number = 0; number < blocks.size(); number++) {
      blocks.free(blocks.pointer(number));
    }
  }
}
