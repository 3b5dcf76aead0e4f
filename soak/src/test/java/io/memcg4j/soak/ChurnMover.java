package io.memcg4j.soak;

import static io.memcg4j.soak.ChurnBlocks.get;
import static io.memcg4j.soak.ChurnBlocks.put;

import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicLongArray;

/**
 * A structure that holds pointers to blocks and moves all of them, again and again. Each pointer
 * stands in its new place before it is cleared in the old one. For one thread at a time.
 */
abstract class ChurnMover {
  final ChurnBlocks blocks;

  ChurnMover(ChurnBlocks blocks) {
    this.blocks = blocks;
  }

  abstract void move(SplittableRandom random);

  /** Frees the structure and each block that it holds. */
  abstract void free();

  /** Holders that are replaced by a copy. */
  static final class Copied extends ChurnMover {
    private final ChurnBlocks.Heap heap;
    private final AtomicLongArray holders;
    private final int nrPointers;

    Copied(ChurnBlocks.Heap heap, ChurnBlocks blocks, int nrHolders) {
      super(blocks);
      this.heap = heap;
      holders = new AtomicLongArray(nrHolders);
      nrPointers = blocks.size() / nrHolders;
      for (int i = 0; i < nrHolders; i++) {
        holders.set(i, heap.allocate(nrPointers));
        for (int word = 0; word < nrPointers; word++) {
          put(holders.get(i) + word * 8L, blocks.pointer(i * nrPointers + word));
        }
      }
    }

    @Override
    void move(SplittableRandom random) {
      for (int i = 0; i < holders.length(); i++) {
        long holder = holders.get(i);
        long copy = heap.allocate(nrPointers);
        for (int word = 0; word < nrPointers; word++) {
          put(copy + word * 8L, get(holder + word * 8L));
        }
        holders.set(i, copy);
        heap.clearAndFree(holder, nrPointers);
      }
    }

    @Override
    void free() {
      for (int i = 0; i < holders.length(); i++) {
        for (int word = 0; word < nrPointers; word++) {
          blocks.free(get(holders.get(i) + word * 8L));
        }
        heap.free(holders.get(i));
      }
    }
  }

  /** A hash table that grows and shrinks. */
  static final class Rehashed extends ChurnMover {
    private final ChurnBlocks.Heap heap;
    private final AtomicLongArray table = new AtomicLongArray(1);
    private int nrWords;

    Rehashed(ChurnBlocks.Heap heap, ChurnBlocks blocks) {
      super(blocks);
      this.heap = heap;
      nrWords = blocks.size() * 2;
      table.set(0, heap.allocate(nrWords));
      for (int number = 0; number < blocks.size(); number++) {
        add(table.get(0), nrWords, blocks.pointer(number));
      }
    }

    private static void add(long table, int nrWords, long pointer) {
      int word = Math.floorMod(Long.hashCode(pointer * 0x9e3779b97f4a7c15L), nrWords);
      while (get(table + word * 8L) != 0) {
        word = (word + 1) % nrWords;
      }
      put(table + word * 8L, pointer);
    }

    @Override
    void move(SplittableRandom random) {
      long before = table.get(0);
      int newWords = blocks.size() * random.nextInt(2, 9);
      long resized = heap.allocate(newWords);
      for (int word = 0; word < nrWords; word++) {
        long pointer = get(before + word * 8L);
        if (pointer != 0) {
          add(resized, newWords, pointer);
        }
      }
      table.set(0, resized);
      heap.clearAndFree(before, nrWords);
      nrWords = newWords;
    }

    @Override
    void free() {
      for (int word = 0; word < nrWords; word++) {
        long pointer = get(table.get(0) + word * 8L);
        if (pointer != 0) {
          blocks.free(pointer);
        }
      }
      heap.free(table.get(0));
    }
  }

  /** Lists of nodes: the next one, and a pointer. Their heads are in a block. */
  abstract static class Lists extends ChurnMover {
    static final int NR_LISTS = 16;
    static final int NODE_WORDS = 2;

    final ChurnBlocks.Heap heap;

    /** Heads of the lists, and a node on its way from one to another. */
    final long heads;

    Lists(ChurnBlocks.Heap heap, ChurnBlocks blocks) {
      super(blocks);
      this.heap = heap;
      heads = heap.allocate(NR_LISTS + 1);
      for (int number = 0; number < blocks.size(); number++) {
        long node = heap.allocate(NODE_WORDS);
        put(node, get(head(number % NR_LISTS)));
        put(node + 8, blocks.pointer(number));
        put(head(number % NR_LISTS), node);
      }
    }

    final long head(int list) {
      return heads + list * 8L;
    }

    @Override
    final void free() {
      for (int list = 0; list < NR_LISTS; list++) {
        for (long node = get(head(list)); node != 0; ) {
          long next = get(node);
          blocks.free(get(node + 8));
          heap.free(node);
          node = next;
        }
      }
      heap.free(heads);
    }
  }

  /** Lists whose nodes are replaced by copies. */
  static final class Replaced extends Lists {
    Replaced(ChurnBlocks.Heap heap, ChurnBlocks blocks) {
      super(heap, blocks);
    }

    @Override
    void move(SplittableRandom random) {
      for (int list = 0; list < NR_LISTS; list++) {
        long link = head(list);
        for (long node = get(link); node != 0; node = get(link)) {
          long copy = heap.allocate(NODE_WORDS);
          put(copy + 8, get(node + 8));
          put(copy, get(node));
          put(link, copy);
          heap.clearAndFree(node, NODE_WORDS);
          link = copy;
        }
      }
    }
  }

  /** Lists whose first nodes go to other lists. */
  static final class Spliced extends Lists {
    private static final int NR_SPLICES = 64;

    Spliced(ChurnBlocks.Heap heap, ChurnBlocks blocks) {
      super(heap, blocks);
    }

    @Override
    void move(SplittableRandom random) {
      long onItsWay = head(NR_LISTS);
      for (int i = 0; i < NR_SPLICES; i++) {
        long from = head(random.nextInt(NR_LISTS));
        long to = head(random.nextInt(NR_LISTS));
        long node = get(from);
        if (node != 0 && from != to) {
          put(onItsWay, node);
          put(from, get(node));
          put(node, get(to));
          put(to, node);
          put(onItsWay, 0);
        }
      }
    }
  }

  /** Pointers that go to and fro between an object in a slab and an area. */
  static final class Shuttled extends ChurnMover {
    private final ChurnBlocks.Heap slabs;
    private final ChurnBlocks.Heap areas;
    private final long object;
    private final long area;

    Shuttled(ChurnBlocks.Heap slabs, ChurnBlocks.Heap areas, ChurnBlocks blocks) {
      super(blocks);
      this.slabs = slabs;
      this.areas = areas;
      object = slabs.allocate(blocks.size());
      area = areas.allocate(blocks.size());
      for (int number = 0; number < blocks.size(); number++) {
        put(object + number * 8L, blocks.pointer(number));
      }
    }

    @Override
    void move(SplittableRandom random) {
      for (long offset = 0; offset < blocks.size() * 8L; offset += 8) {
        long from = get(object + offset) != 0 ? object : area;
        put((from == object ? area : object) + offset, get(from + offset));
        put(from + offset, 0);
      }
    }

    @Override
    void free() {
      for (long offset = 0; offset < blocks.size() * 8L; offset += 8) {
        blocks.free(get(object + offset) + get(area + offset)); // one of them is 0
      }
      slabs.free(object);
      areas.free(area);
    }
  }
}
