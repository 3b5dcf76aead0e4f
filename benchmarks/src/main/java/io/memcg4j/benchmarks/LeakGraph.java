package io.memcg4j.benchmarks;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.slab.Kmalloc;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/** Off-heap objects that refer to each other, and roots: the same graph as in leakgraph.c. */
final class LeakGraph implements AutoCloseable {
  private static final int ROOT_FRACTION = 10;
  private static final int THOUSAND = 1000;
  private static final int CHAIN = -1;

  /**
   * What a graph is like.
   *
   * @param nrObjects how many
   * @param nrBytes size of each, a multiple of 8
   * @param perThousand words that are pointers to random objects; -1 for a chain in random order
   */
  record Shape(int nrObjects, int nrBytes, int perThousand) {
    /** Reads {@code mark/words250/bytes64/objects1000} and {@code mark/chain/bytes64/…}. */
    static Shape parse(String caseName) {
      String[] parts = caseName.split("/", -1);
      if (parts.length != 4) {
        throw new IllegalArgumentException("unknown case: name=" + caseName);
      }
      return new Shape(
          Integer.parseInt(parts[3].substring("objects".length())),
          Integer.parseInt(parts[2].substring("bytes".length())),
          parts[1].equals("chain")
              ? CHAIN
              : Integer.parseInt(parts[1].substring("words".length())));
    }

    boolean isChain() {
      return perThousand == CHAIN;
    }

    int nrWords() {
      return nrBytes / Long.BYTES;
    }

    String text() {
      String kind = isChain() ? "chain" : "words" + perThousand;
      return "mark/" + kind + "/bytes" + nrBytes + "/objects" + nrObjects;
    }
  }

  final MemCgroup root = MemCgroup.root();
  final Kmalloc kmalloc = Kmalloc.create(root);
  final ObjCgroup tenant = ObjCgroup.of(root.create("graph"));
  final Shape shape;

  /** Where the objects are, by the order of their allocation. */
  final long[] objects;

  final MemorySegment roots;
  private final Arena arena = Arena.ofShared();
  private long state = 1;

  LeakGraph(Shape shape) {
    this.shape = shape;
    int nr = shape.nrObjects();
    objects = new long[nr];
    try (Scope scope = tenant.enter()) {
      Kmalloc.Bound bound = kmalloc.bind(scope);
      for (int i = 0; i < nr; i++) {
        objects[i] = bound.allocateZeroed(shape.nrBytes());
      }
    }
    int nrRoots = shape.isChain() ? 1 : nr / ROOT_FRACTION + 1;
    roots = arena.allocate(JAVA_LONG, nrRoots);
    if (shape.isChain()) {
      roots.set(JAVA_LONG, 0, chain());
      return;
    }
    for (long object : objects) {
      for (int w = 0; w < shape.nrWords(); w++) {
        boolean isPointer = below(THOUSAND) < shape.perThousand();
        int value = below(nr);
        Kmalloc.MEMORY.set(
            JAVA_LONG, object + (long) w * Long.BYTES, isPointer ? objects[value] : value);
      }
    }
    for (int i = 0; i < nrRoots; i++) {
      roots.setAtIndex(JAVA_LONG, i, objects[below(nr)]);
    }
  }

  /** Links all objects in random order; returns the first. */
  private long chain() {
    int[] order = new int[objects.length];
    for (int i = 0; i < order.length; i++) {
      order[i] = i;
    }
    for (int i = order.length - 1; i > 0; i--) {
      int j = below(i + 1);
      int t = order[i];
      order[i] = order[j];
      order[j] = t;
    }
    for (int i = 0; i + 1 < order.length; i++) {
      Kmalloc.MEMORY.set(JAVA_LONG, objects[order[i]], objects[order[i + 1]]);
    }
    return objects[order[0]];
  }

  /** How many objects the roots lead to. */
  int nrReachable() {
    long[] sorted = objects.clone();
    Arrays.sort(sorted);
    boolean[] seen = new boolean[sorted.length];
    int[] queue = new int[sorted.length];
    int nrQueued = reach(sorted, roots.address(), roots.byteSize(), seen, queue, 0);
    for (int i = 0; i < nrQueued; i++) {
      nrQueued = reach(sorted, sorted[queue[i]], shape.nrBytes(), seen, queue, nrQueued);
    }
    return nrQueued;
  }

  private static int reach(
      long[] sorted, long from, long nrBytes, boolean[] seen, int[] queue, int nrQueued) {
    int nr = nrQueued;
    for (long at = from; at < from + nrBytes; at += Long.BYTES) {
      long value = Kmalloc.MEMORY.get(JAVA_LONG, at);
      int index = value < sorted[0] ? -1 : Arrays.binarySearch(sorted, value);
      if (index >= 0 && !seen[index]) {
        seen[index] = true;
        queue[nr++] = index;
      }
    }
    return nr;
  }

  private int below(int bound) {
    state += 0x9E3779B97F4A7C15L;
    long z = state;
    z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
    z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
    z ^= z >>> 31;
    return (int) (((z >>> 32) * bound) >>> 32);
  }

  @Override
  public void close() {
    for (long object : objects) {
      kmalloc.free(object);
    }
    kmalloc.close();
    arena.close();
  }
}
