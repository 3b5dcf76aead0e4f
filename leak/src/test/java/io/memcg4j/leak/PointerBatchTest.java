package io.memcg4j.leak;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Words that are read by batches mark what they mark one by one. */
final class PointerBatchTest {
  private static final int NR_WORDS = 5_000;

  private final FakeHeap heap = new FakeHeap(64);
  private final List<Long> blocks = new ArrayList<>();

  @AfterEach
  void closeHeap() {
    heap.close();
  }

  private PointerBatch batch(Marker marker) {
    return new PointerBatch(marker, marker.map.chunkTable(heap.arena), heap.arena);
  }

  private void fill(Random random) {
    for (int size : new int[] {8, 24, 64, 80, 448, 4096}) {
      int slab = heap.addSlab(size, size > 1024 ? 2 : 1);
      for (int i = 0; i < heap.nrObjects(slab); i++) {
        if (random.nextInt(4) > 0) {
          blocks.add(heap.allocate(slab, i));
        }
      }
    }
    int large = heap.addLarge(300_000);
    blocks.add(heap.allocate(large, 0));
  }

  private long word(Random random, Marker marker) {
    long block = blocks.get(random.nextInt(blocks.size()));
    return switch (random.nextInt(8)) {
      case 0 -> random.nextLong();
      case 1 -> marker.min - 1 + random.nextInt(3);
      case 2 -> marker.min + marker.span - 1 + random.nextInt(3);
      case 3 -> random.nextBoolean() ? Long.MIN_VALUE : -1 - random.nextInt(100);
      case 4 -> heap.base + random.nextLong(64L * FakeHeap.CHUNK);
      case 5 -> block + random.nextInt(64);
      default -> block;
    };
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5})
  void read_anyWords_marksAsOneByOne(long seed) {
    Random random = new Random(seed);
    fill(random);
    long foreign = heap.foreign(4096);
    heap.ranges = RangeMap.EMPTY.with(foreign, foreign + 4096, 1, 0);
    for (int nrShares = 1; nrShares <= 3; nrShares++) {
      Marker oneByOne = new Marker(heap.map(), heap.ranges, Marker.Specials.NONE, 1);
      Marker marker = new Marker(heap.map(), heap.ranges, Marker.Specials.NONE, nrShares);
      marker.startWorkers();
      long from = heap.foreign(NR_WORDS * 8L);
      for (int i = 0; i < NR_WORDS; i++) {
        long value =
            random.nextInt(50) == 0 ? foreign + random.nextInt(4096) : word(random, marker);
        FakeHeap.put(from + i * 8L, value);
        oneByOne.mark(value);
      }
      MarkShare share = marker.shares[0];
      assertTrue(share.claim());
      GrayLines lines = new GrayLines(batch(marker));
      for (int done = 0; done < NR_WORDS; ) {
        int piece = Math.min(NR_WORDS - done, random.nextInt(10) == 0 ? 3_000 : random.nextInt(40));
        lines.add(from + done * 8L, piece * 8L, share);
        done += piece;
      }
      lines.readInto(share);
      share.flush(true);
      for (MarkShare other : marker.shares) {
        other.receive();
      }
      long[] gray = new long[share.gray.length];
      for (MarkShare other : marker.shares) {
        Arrays.setAll(gray, i -> gray[i] | other.gray[i]);
      }
      assertArrayEquals(oneByOne.shares[0].gray, gray, "seed=" + seed + " shares=" + nrShares);
      assertTrue(Arrays.stream(gray).anyMatch(word -> word != 0));
      assertTrue(!marker.isWhiteRange(0) && !oneByOne.isWhiteRange(0));
    }
  }

  /** More lone objects than fit at a time, neighbours, objects of more words than fit. */
  @Test
  void readInto_anyLines_readsEachWordOnce() {
    int small = heap.addSlab(64, 1);
    int big = heap.addLarge(40_000);
    int targets = heap.addSlab(8, 1);
    long last = heap.allocate(big, 0);
    List<Long> holders = new ArrayList<>();
    for (int i = 0; i < heap.nrObjects(small); i++) {
      if (i % 3 != 0) {
        holders.add(heap.allocate(small, i));
      }
    }
    for (int i = 0; i < holders.size() * 8 + 5_000; i++) {
      long holder = i < holders.size() * 8 ? holders.get(i / 8) + i % 8 * 8L : -1;
      long target = i < 4_096 ? heap.allocate(targets, i) : last;
      FakeHeap.put(holder >= 0 ? holder : last + (i - holders.size() * 8L) * 8, target);
    }
    Marker marker = new Marker(heap.map(), RangeMap.EMPTY, Marker.Specials.NONE, 1);
    marker.startWorkers();
    MarkShare share = marker.shares[0];
    assertTrue(share.claim());
    GrayLines lines = new GrayLines(batch(marker));
    HeapMap map = marker.map;
    int word = map.firstWord(small);
    for (int i = 0; i < map.nrWords[small]; i++) {
      lines.add(map.address(small, word + i, 0), 64, map.live[word + i], share);
    }
    lines.add(last, 40_000, share);
    lines.readInto(share);
    assertTrue(lines.isEmpty());
    int nrGray = 0;
    for (long bits : share.gray) {
      nrGray += Long.bitCount(bits);
    }
    assertEquals(Math.min(4_096, holders.size() * 8 + 5_000) + 1, nrGray);
  }
}
