package io.memcg4j.benchmarks;

import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Collects events into a {@link Trace} and keeps the table of live ids, by which it refuses events
 * that no program can have made. Every {@code add} returns {@code null}, or the reason of the
 * refusal.
 */
final class TraceBuilder {
  private static final long NOT_LIVE = -1;

  private final Map<Integer, Integer> denseThreads = new HashMap<>();
  private int[] words = new int[1 << 12];
  private long[] sizes = new long[1 << 12];
  private int nrEvents;
  private long[] liveSizes = new long[0];
  private int nrIds;
  private int[] runStarts = new int[16];
  private int[] runThreads = new int[16];
  private int nrRuns;
  private int recordedThread;
  private int denseThread = -1; // not looked up yet: a thread without events is not counted
  private long liveBytes;
  private long peakBytes;
  private int nrLive;

  /** The following events are of this thread; without it they are of thread 0. */
  void thread(int thread) {
    recordedThread = thread;
    denseThread = -1;
  }

  /** A new object. */
  @Nullable String addNew(int op, int id, long size, int alignLog2) {
    if (isLive(id)) {
      return "id is live already";
    }
    account(id, 0, size);
    nrLive++;
    addEvent(Trace.word(op, id, alignLog2), size);
    return null;
  }

  /** A new size for a live object. */
  @Nullable String addReallocate(int id, long size) {
    if (!isLive(id)) {
      return "reallocation of an id that is not live";
    }
    account(id, liveSizes[id], size);
    addEvent(Trace.word(Trace.REALLOCATE, id, 0), size);
    return null;
  }

  /** The end of a live object. */
  @Nullable String addFree(int id) {
    if (!isLive(id)) {
      return "free of an id that is not live";
    }
    liveBytes -= liveSizes[id];
    liveSizes[id] = NOT_LIVE;
    nrLive--;
    addEvent(Trace.word(Trace.FREE, id, 0), 0);
    return null;
  }

  Trace build(String name) {
    return new Trace(
        name,
        Arrays.copyOf(words, nrEvents),
        Arrays.copyOf(sizes, nrEvents),
        nrIds,
        Arrays.copyOf(runStarts, nrRuns),
        Arrays.copyOf(runThreads, nrRuns),
        denseThreads.size(),
        peakBytes,
        nrLive);
  }

  private boolean isLive(int id) {
    return id < nrIds && liveSizes[id] != NOT_LIVE;
  }

  /** No sum overflows: ids have 24 bits, sizes 36. */
  private void account(int id, long oldSize, long size) {
    if (id >= nrIds) {
      if (id >= liveSizes.length) {
        int length = Math.min(Math.max(id + 1, liveSizes.length * 2), Trace.MAX_ID + 1);
        liveSizes = Arrays.copyOf(liveSizes, length);
      }
      Arrays.fill(liveSizes, nrIds, id, NOT_LIVE);
      nrIds = id + 1;
    }
    liveSizes[id] = size;
    liveBytes += size - oldSize;
    peakBytes = Math.max(peakBytes, liveBytes);
  }

  private void addEvent(int word, long size) {
    if (denseThread < 0) {
      int nrThreads = denseThreads.size();
      denseThread = denseThreads.computeIfAbsent(recordedThread, key -> nrThreads);
    }
    if (nrRuns == 0 || runThreads[nrRuns - 1] != denseThread) {
      if (nrRuns == runStarts.length) {
        runStarts = Arrays.copyOf(runStarts, nrRuns * 2);
        runThreads = Arrays.copyOf(runThreads, nrRuns * 2);
      }
      runStarts[nrRuns] = nrEvents;
      runThreads[nrRuns++] = denseThread;
    }
    if (nrEvents == words.length) {
      words = Arrays.copyOf(words, nrEvents * 2);
      sizes = Arrays.copyOf(sizes, nrEvents * 2);
    }
    words[nrEvents] = word;
    sizes[nrEvents++] = size;
  }
}
