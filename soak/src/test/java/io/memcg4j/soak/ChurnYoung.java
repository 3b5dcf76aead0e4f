package io.memcg4j.soak;

import static io.memcg4j.soak.ChurnBlocks.get;
import static io.memcg4j.soak.ChurnBlocks.put;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.slab.Kmalloc;
import java.util.SplittableRandom;

/**
 * Blocks that live for some milliseconds, in groups that are removed while their blocks live on.
 * For one thread.
 */
final class ChurnYoung {
  private static final int NR_SLOTS = 512;
  private static final int NR_POINTERS = 32;
  private static final int TURNS_OF_A_GROUP = 500;
  private static final int STEPS_OF_A_TURN = 100;

  private final MemCgroup root;
  private final String name;
  private final ChurnBlocks.Heap heap;

  /** Blocks of pointers; each block is held by one word, and a moving one by two for a moment. */
  private final long[] table = new long[NR_SLOTS];

  ChurnYoung(MemCgroup root, Kmalloc kmalloc, String name) {
    this.root = root;
    this.name = name;
    heap = ChurnBlocks.Heap.slabs(kmalloc);
  }

  void run(SplittableRandom random, Failure failure) {
    while (!failure.isOver()) {
      MemCgroup group = root.create(name);
      ObjCgroup handle = ObjCgroup.of(group);
      for (int turn = 0; turn < TURNS_OF_A_GROUP && !failure.isOver(); turn++) {
        try (Scope _ = handle.enter()) {
          for (int i = 0; i < STEPS_OF_A_TURN; i++) {
            step(random);
          }
        }
        Thread.onSpinWait();
      }
      group.remove();
    }
    for (long block : table) {
      if (block != 0) {
        freeWithAll(block);
      }
    }
  }

  private void step(SplittableRandom random) {
    int slot = random.nextInt(NR_SLOTS);
    if (table[slot] == 0) {
      table[slot] = heap.allocate(NR_POINTERS);
      return;
    }
    long from = table[slot] + random.nextInt(NR_POINTERS) * 8L;
    long pointer = get(from);
    switch (random.nextInt(4)) {
      case 0 -> {
        if (pointer == 0) {
          put(from, heap.allocate(1 << random.nextInt(6)));
        }
      }
      case 1 -> {
        if (pointer != 0) {
          put(from, 0);
          heap.free(pointer);
        }
      }
      case 2 -> {
        long other = table[random.nextInt(NR_SLOTS)];
        long to = other + random.nextInt(NR_POINTERS) * 8L;
        if (other != 0 && get(to) == 0) {
          put(to, pointer);
          put(from, 0);
        }
      }
      default -> {
        if (random.nextInt(50) == 0) {
          long block = table[slot];
          table[slot] = 0;
          freeWithAll(block);
        }
      }
    }
  }

  private void freeWithAll(long block) {
    for (int word = 0; word < NR_POINTERS; word++) {
      long pointer = get(block + word * 8L);
      if (pointer != 0) {
        heap.free(pointer);
      }
    }
    heap.free(block);
  }
}
