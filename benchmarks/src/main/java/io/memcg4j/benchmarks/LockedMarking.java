package io.memcg4j.benchmarks;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.memcg4j.slab.Kmalloc;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.BitSet;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * Marking as it was done before: a tree of objects under a lock that every allocation needs too.
 * The lock is taken for each word that may be a pointer, or once for each object that is scanned;
 * or not at all, which is what the tree alone costs.
 */
final class LockedMarking {
  /** When the lock is taken. */
  enum Locking {
    PER_POINTER,
    PER_BLOCK,
    NONE
  }

  private final ReentrantLock lock = new ReentrantLock();
  private final TreeMap<Long, Integer> tree = new TreeMap<>();
  private final ArrayDeque<Integer> grayList = new ArrayDeque<>();
  private final BitSet marked;
  private final LeakGraph graph;
  private final Locking locking;
  private final long min;
  private final long max;

  LockedMarking(LeakGraph graph, Locking locking) {
    this.graph = graph;
    this.locking = locking;
    marked = new BitSet(graph.objects.length);
    for (int i = 0; i < graph.objects.length; i++) {
      tree.put(graph.objects[i], i);
    }
    min = tree.firstKey();
    max = tree.lastKey() + graph.shape.nrBytes();
  }

  /** Marks from the roots; returns how many objects they reach. */
  int mark() {
    marked.clear();
    scan(graph.roots, 0, (int) (graph.roots.byteSize() / Long.BYTES));
    int nrScanned = 0;
    for (Integer gray = grayList.poll(); gray != null; gray = grayList.poll()) {
      nrScanned++;
      scan(Kmalloc.MEMORY, graph.objects[gray], graph.shape.nrWords());
    }
    return nrScanned;
  }

  private void scan(MemorySegment memory, long offset, int nrWords) {
    if (locking == Locking.PER_BLOCK) {
      lock.lock();
    }
    try {
      for (int i = 0; i < nrWords; i++) {
        long value = memory.get(JAVA_LONG, offset + (long) i * Long.BYTES);
        if (value >= min && value < max) {
          look(value);
        }
      }
    } finally {
      if (locking == Locking.PER_BLOCK) {
        lock.unlock();
      }
    }
  }

  private void look(long value) {
    if (locking == Locking.PER_POINTER) {
      lock.lock();
    }
    try {
      Map.@Nullable Entry<Long, Integer> found = tree.floorEntry(value);
      if (found != null
          && value < found.getKey() + graph.shape.nrBytes()
          && !marked.get(found.getValue())) {
        marked.set(found.getValue());
        grayList.add(found.getValue());
      }
    } finally {
      if (locking == Locking.PER_POINTER) {
        lock.unlock();
      }
    }
  }
}
