package io.memcg4j.leak;

import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeMap;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Marking beside a model that knows blocks only: objects of all sizes in hundreds of slabs, so that
 * most are found by another share's worker, ranges and objects larger than the pieces they are read
 * in, odd addresses and lengths, and all that can be said of a block.
 */
final class MarkModelTest {
  private static final int WORD = Long.BYTES;
  private static final int[] SIZES = {8, 16, 24, 40, 64, 72, 96, 192, 448, 1000, 1024, 4096};
  private static final int MAX_CHUNKS = 2000;
  private static final int NR_SLABS = 700;
  private static final int MAX_OBJECTS = 60_000;
  private static final int NR_GRAPHS = 4;

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 64})
  void mark_anyGraph_reachesWhatTheModelReaches(int nrWorkers) {
    long seed = new SplittableRandom().nextLong();
    SplittableRandom random = new SplittableRandom(seed);
    for (int i = 0; i < NR_GRAPHS; i++) {
      try (FakeHeap heap = new FakeHeap(MAX_CHUNKS)) {
        String which = "seed=" + seed + " graph=" + i + " nrWorkers=" + nrWorkers;
        assertAsTheModelSays(new Graph(heap, random), nrWorkers, which);
      }
    }
  }

  private static void assertAsTheModelSays(Graph graph, int nrWorkers, String which) {
    Marker marker = new Marker(graph.heap.map(), graph.heap.ranges, graph.said, nrWorkers);
    graph.roots.forEach(marker::mark);
    Pace pace = Pace.FULL;
    List<MarkWorker> parts = new ArrayList<>();
    long chunks = marker.map.chunkTable(graph.heap.arena);
    for (int i = 0; i < nrWorkers; i++) {
      parts.add(new MarkWorker(marker, pace, i, chunks, graph.heap.arena));
    }
    marker.startWorkers();
    try (Workers threads = new Workers(nrWorkers)) {
      threads.run(parts, marker::abort);
    }
    assertEquals(0, marker.nrUnderWay.get(), which);
    for (MarkShare share : marker.shares) {
      assertFalse(share.hasMail(), which);
      assertTrue(Arrays.stream(share.gray).allMatch(word -> word == 0), which);
      assertTrue(Arrays.stream(share.pending).allMatch(slabs -> slabs == 0), which);
    }
    Set<Long> reached = graph.reached();
    if (graph.said.isEmpty()) { // otherwise some are not looked into, and some in parts
      assertEquals(reached.size(), parts.stream().mapToLong(part -> part.nrObjects).sum(), which);
    }
    for (Block block : graph.blocks.values()) {
      boolean isWhite = isWhite(marker, block.address);
      boolean mayBe = graph.nrNeeded(block) > 0 && !reached.contains(block.address);
      assertEquals(mayBe, isWhite, () -> which + " " + block);
    }
  }

  private static boolean isWhite(Marker marker, long address) {
    HeapMap map = marker.map;
    int slab = map.findSlab(address);
    if (slab < 0) {
      return marker.isWhiteRange(marker.ranges.find(address));
    }
    long index = map.indexOf(slab, address);
    return (marker.white(slab, map.wordOf(slab, index)) & HeapMap.bitOf(index)) != 0;
  }

  private record Block(long address, long nrBytes, int minCount) {
    boolean contains(long value) {
      return value - address < nrBytes;
    }
  }

  private static final class Graph {
    final FakeHeap heap;
    final SplittableRandom random;
    final TreeMap<Long, Block> blocks = new TreeMap<>();
    final Said said = new Said();
    final List<Long> roots = new ArrayList<>();
    private final List<Block> all = new ArrayList<>();

    Graph(FakeHeap heap, SplittableRandom random) {
      this.heap = heap;
      this.random = random;
      boolean isDense = random.nextBoolean();
      for (int slab = 0, nrChunks = 0; slab < NR_SLABS && nrChunks < MAX_CHUNKS - 100; slab++) {
        nrChunks += random.nextInt(60) == 0 ? addLarge() : addSmall(isDense ? 90 : 5);
      }
      addRange();
      for (int i = random.nextInt(6); i > 0; i--) {
        addRange();
      }
      double[] references = {0.2, 1.2, 4};
      point((long) (all.size() * references[random.nextInt(references.length)]));
      for (int i = random.nextBoolean() ? 0 : random.nextInt(200); i > 0; i--) {
        say(any());
      }
      for (int i = random.nextInt(5); i >= 0; i--) {
        roots.add(within(any()));
      }
    }

    private void add(long address, long nrBytes, int minCount) {
      Block block = new Block(address, nrBytes, minCount);
      blocks.put(address, block);
      all.add(block);
    }

    private int addSmall(int percent) {
      int size = SIZES[random.nextInt(SIZES.length)];
      int nrChunks = size > 1024 ? 2 : 1;
      int slab = heap.addSlab(size, nrChunks);
      for (int i = 0; i < heap.nrObjects(slab); i++) {
        if (random.nextInt(100) < percent && all.size() < MAX_OBJECTS) {
          add(heap.allocate(slab, i), size, 1);
        }
      }
      return nrChunks;
    }

    private int addLarge() {
      long nrBytes = random.nextInt(4) == 0 ? 3L << 20 : 20_000L + random.nextInt(200_000);
      nrBytes -= random.nextInt(2 * WORD);
      if (random.nextInt(5) > 0) {
        add(heap.allocate(heap.addLarge(nrBytes), 0), nrBytes, 1);
      } else {
        heap.addLarge(nrBytes); // free
      }
      return Math.toIntExact(Math.ceilDiv(nrBytes, FakeHeap.CHUNK));
    }

    private void addRange() {
      long nrBytes = 1L + random.nextInt(400_000);
      long start = heap.foreign(nrBytes + WORD) + random.nextInt(WORD);
      int minCount = random.nextInt(4) == 0 ? 0 : 1 + random.nextInt(2);
      heap.ranges = heap.ranges.with(start, start + nrBytes, minCount, 0);
      add(start, nrBytes, minCount);
    }

    private Block any() {
      // Ranges, the last ones, are few and would hardly be met.
      int nr = all.size();
      return all.get(random.nextInt(20) == 0 ? nr - 1 : random.nextInt(nr));
    }

    private long within(Block block) {
      return block.address + random.nextLong(block.nrBytes);
    }

    private void point(long nrPointers) {
      for (long i = 0; i < nrPointers; i++) {
        Block from = any();
        long first = (from.address + WORD - 1) & -WORD;
        long nrWords = (from.address + from.nrBytes - first) / WORD;
        if (nrWords > 0) {
          long word = random.nextInt(3) == 0 ? nrWords - 1 : random.nextLong(nrWords);
          FakeHeap.put(first + word * WORD, within(any()));
        }
      }
    }

    private void say(Block block) {
      Attributes had = said.attributes.getOrDefault(block.address, Attributes.NONE);
      long offset = random.nextLong(block.nrBytes);
      long nrBytes = 1 + random.nextLong(block.nrBytes - offset);
      said.attributes.put(
          block.address,
          switch (random.nextInt(5)) {
            case 0 -> had.as(Attributes.Colour.GRAY);
            case 1 -> had.as(Attributes.Colour.BLACK);
            case 2 -> had.unscanned();
            default -> had.with(new Attributes.Area(offset, nrBytes));
          });
    }

    // ---- the model

    /** References that make a block gray: -1 if none does. */
    int nrNeeded(Block block) {
      Attributes attributes = said.of(block.address);
      return switch (attributes == null ? Attributes.Colour.WHITE : attributes.colour) {
        case WHITE -> block.minCount;
        case GRAY -> 0;
        case BLACK -> -1;
      };
    }

    Set<Long> reached() {
      Set<Long> reached = new HashSet<>();
      Deque<Block> work = new ArrayDeque<>();
      Map<Long, Integer> counts = new TreeMap<>();
      for (Block block : all) {
        if (nrNeeded(block) == 0) {
          reached.add(block.address);
          work.add(block);
        }
      }
      roots.forEach(value -> count(value, counts, reached, work));
      while (!work.isEmpty()) {
        Block block = work.poll();
        Attributes attributes = said.of(block.address);
        if (attributes == null || (attributes.areas.isEmpty() && !attributes.noScan)) {
          read(block.address, block.nrBytes, counts, reached, work);
        } else if (!attributes.noScan) {
          for (Attributes.Area area : attributes.areas) {
            read(block.address + area.offset(), area.nrBytes(), counts, reached, work);
          }
        }
      }
      return reached;
    }

    private void read(
        long from, long nrBytes, Map<Long, Integer> counts, Set<Long> reached, Deque<Block> work) {
      for (long at = (from + WORD - 1) & -WORD; at + WORD <= from + nrBytes; at += WORD) {
        count(Memory.ALL.get(JAVA_LONG_UNALIGNED, at), counts, reached, work);
      }
    }

    private void count(
        long value, Map<Long, Integer> counts, Set<Long> reached, Deque<Block> work) {
      Map.Entry<Long, Block> entry = blocks.floorEntry(value);
      if (entry == null || !entry.getValue().contains(value)) {
        return;
      }
      Block block = entry.getValue();
      int nrNeeded = nrNeeded(block);
      if (nrNeeded > 0
          && counts.merge(block.address, 1, Integer::sum) == nrNeeded
          && reached.add(block.address)) {
        work.add(block);
      }
    }
  }
}
