package io.memcg4j.slab;

import java.util.Locale;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.LongConsumer;

/**
 * Brings an object into its first state, once in the life of its memory: frees touch nothing, so it
 * is still, or again, in that state when it is allocated the next time.
 */
final class Constructor {
  /*
   * Layout     which objects are constructed is a bit of the slab, gone with the slab's memory.
   * Ordering   runs for an object that its allocator has got and nobody else knows, with no operation
   *            under way on any slot and no lock held. The bit is set after that; it reaches the next
   *            owner of the object with the object.
   */
  private final String cacheName;
  private final LongConsumer action;
  private final Set<Thread> running = ConcurrentHashMap.newKeySet();

  Constructor(String cacheName, LongConsumer action) {
    this.cacheName = cacheName;
    this.action = action;
  }

  /** Before an object of the cache is allocated. */
  void refuseWhileRunning() {
    if (!running.isEmpty() && running.contains(Thread.currentThread())) {
      throw new IllegalStateException(
          String.format(
              Locale.ROOT, "constructor allocates from its own cache: cache=%s", cacheName));
    }
  }

  /** Makes sure that an object is constructed; frees it if the constructor throws. */
  void construct(SlabAllocator allocator, long address) {
    Slab slab = allocator.range().find(address);
    if (slab == null) {
      run(allocator, address); // an object with memory of its own, new each time
      return;
    }
    int index = slab.indexOf(address);
    int word = slab.wordOf(index).index();
    long bit = slab.bitOf(index);
    if ((slab.constructedBits(word) & bit) == 0) {
      run(allocator, address);
      slab.makeConstructed().set(word, bit);
    }
  }

  private void run(SlabAllocator allocator, long address) {
    Thread thread = Thread.currentThread();
    running.add(thread);
    boolean constructed = false;
    try {
      action.accept(address);
      constructed = true;
    } finally {
      running.remove(thread);
      if (!constructed) {
        allocator.free(allocator.registry().currentScope(), address, -1);
      }
    }
  }
}
