package io.memcg4j.leak;

import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;

import java.util.Arrays;
import java.util.List;

/** Which leaked blocks refer to which: a second marking, over the leaked blocks alone. */
final class LeakGraph {
  /*
   * Layout     the edges of block i are targets[first[i]] .. targets[first[i + 1]], exclusive.
   * Origin     Kosaraju's order: after a depth-first search of all blocks, the block that was left last
   *            is in a cycle, or alone, to which no other unvisited block refers.
   */
  static final int NOBODY = -1;

  private static final int WORD = Long.BYTES;
  private static final int REST_BYTES = 1 << 16;

  private final List<Scan.Found> blocks;
  private final RangeMap ranges;
  private final Marker.Specials specials;
  private final Pace pace;
  private final long[] starts;
  private final int[] first;
  private int[] targets = new int[64];
  private int nrTargets;
  private long sinceNanos = System.nanoTime();

  private LeakGraph(List<Scan.Found> blocks, RangeMap ranges, Marker.Specials specials, Pace pace) {
    this.blocks = blocks;
    this.ranges = ranges;
    this.specials = specials;
    this.pace = pace;
    starts = blocks.stream().mapToLong(Scan.Found::address).toArray();
    first = new int[starts.length + 1];
  }

  /**
   * The block that holds each one.
   *
   * @param blocks by ascending address
   * @param ranges those that blocks outside the slabs are numbered by
   * @return positions in the list; {@link #NOBODY} for a root cause: a block that no leaked block
   *     refers to, or one of a cycle that no other leaked block refers to
   */
  static int[] holders(
      List<Scan.Found> blocks, RangeMap ranges, Marker.Specials specials, Pace pace) {
    LeakGraph graph = new LeakGraph(blocks, ranges, specials, pace);
    graph.readEdges();
    return graph.holders();
  }

  private void readEdges() {
    for (int i = 0; i < starts.length; i++) {
      first[i] = nrTargets;
      sinceNanos = pace.rest(sinceNanos);
      Attributes said = specials.of(starts[i]);
      if (said == null || (said.areas.isEmpty() && !said.noScan)) {
        read(i, 0, blocks.get(i).nrBytes());
      } else if (!said.noScan) {
        for (Attributes.Area area : said.areas) {
          long offset = Math.min(area.offset(), blocks.get(i).nrBytes());
          read(i, offset, Math.min(area.nrBytes(), blocks.get(i).nrBytes() - offset));
        }
      }
    }
    first[starts.length] = nrTargets;
  }

  private void read(int i, long offset, long nrBytes) {
    Scan.Found block = blocks.get(i);
    long from = (block.address() + offset + WORD - 1) & -WORD;
    long end = block.address() + offset + nrBytes;
    if (block.slab() >= 0) {
      for (long at = from; end - at >= WORD; at += WORD) {
        if ((at & (REST_BYTES - 1)) == 0) {
          sinceNanos = pace.rest(sinceNanos);
        }
        edge(i, Memory.ALL.get(JAVA_LONG_UNALIGNED, at));
      }
      return;
    }
    RangeWords.read(ranges, block.word(), from, end, value -> edge(i, value), pace);
  }

  private void edge(int holder, long value) {
    if (value < starts[0]) {
      return;
    }
    int at = Arrays.binarySearch(starts, value);
    int block = at >= 0 ? at : -at - 2;
    if (block != holder && value - starts[block] < blocks.get(block).nrBytes()) {
      if (nrTargets == targets.length) {
        targets = Arrays.copyOf(targets, nrTargets * 2);
      }
      targets[nrTargets++] = block;
    }
  }

  private int[] holders() {
    int[] left = depthFirstOrder();
    int[] holders = new int[starts.length];
    Arrays.fill(holders, NOBODY);
    boolean[] visited = new boolean[starts.length];
    int[] work = new int[starts.length];
    for (int n = left.length - 1; n >= 0; n--) {
      if (visited[left[n]]) {
        continue;
      }
      int nrWork = 0;
      visited[left[n]] = true;
      work[nrWork++] = left[n];
      while (nrWork > 0) {
        int block = work[--nrWork];
        for (int edge = first[block]; edge < first[block + 1]; edge++) {
          int target = targets[edge];
          if (!visited[target]) {
            visited[target] = true;
            holders[target] = block;
            work[nrWork++] = target;
          }
        }
      }
    }
    return holders;
  }

  /** Blocks in the order in which a depth-first search leaves them. */
  private int[] depthFirstOrder() {
    int[] order = new int[starts.length];
    int nrLeft = 0;
    boolean[] visited = new boolean[starts.length];
    int[] path = new int[starts.length];
    int[] nextEdge = new int[starts.length];
    // Downwards, so that of what has no holder the lowest address is left last.
    for (int root = starts.length - 1; root >= 0; root--) {
      if (visited[root]) {
        continue;
      }
      int depth = 0;
      visited[root] = true;
      nextEdge[root] = first[root];
      path[depth++] = root;
      while (depth > 0) {
        int block = path[depth - 1];
        if (nextEdge[block] == first[block + 1]) {
          order[nrLeft++] = block;
          depth--;
        } else {
          int target = targets[nextEdge[block]++];
          if (!visited[target]) {
            visited[target] = true;
            nextEdge[target] = first[target];
            path[depth++] = target;
          }
        }
      }
    }
    return order;
  }
}
