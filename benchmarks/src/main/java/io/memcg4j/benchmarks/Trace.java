package io.memcg4j.benchmarks;

/**
 * One program's heap calls in recorded order, as two flat arrays, so that a loop over them touches
 * memory in order and makes no object. Immutable by agreement: the arrays are handed out, not
 * copied.
 *
 * @param name the trace's short name, which its tenant's group gets too
 * @param words one word per event, see the layout in the record's body
 * @param sizes bytes per event; 0 for a free
 * @param nrIds ids are {@code 0..nrIds-1}
 * @param runStarts index of the first event of each run of events of one thread; the first is 0
 * @param runThreads the dense number of the thread of each run, {@code 0..nrThreads-1}
 * @param nrThreads threads that have events
 * @param requestedPeakBytes largest sum of the requested sizes of the objects live at one time
 * @param nrLiveAtEnd objects live after the last event
 */
@SuppressWarnings("ArrayRecordComponent") // flat arrays are the point; traces are never compared
record Trace(
    String name,
    int[] words,
    long[] sizes,
    int nrIds,
    int[] runStarts,
    int[] runThreads,
    int nrThreads,
    long requestedPeakBytes,
    int nrLiveAtEnd) {
  /*
   * Event word:
   *   31                            8 7              3 2     0
   *  +-------------------------------+----------------+-------+
   *  |              id               | log2 alignment |  op   |
   *  +-------------------------------+----------------+-------+
   */
  static final int ALLOCATE = 0;
  static final int ZEROED = 1;
  static final int ALIGNED = 2;
  static final int REALLOCATE = 3;
  static final int FREE = 4;

  static final int ALIGN_SHIFT = 3;
  static final int ID_SHIFT = 8;
  static final int OP_MASK = (1 << ALIGN_SHIFT) - 1;
  static final int ALIGN_MASK = (1 << (ID_SHIFT - ALIGN_SHIFT)) - 1;

  /** Ids are slots that the recorder reuses, so they stay small: 2^24 objects live at one time. */
  static final int MAX_ID = (1 << (Integer.SIZE - ID_SHIFT)) - 1;

  /** 1 GiB; what {@code m} events may ask for at most. */
  static final int MAX_ALIGN_LOG2 = 30;

  static int word(int op, int id, int alignLog2) {
    return id << ID_SHIFT | alignLog2 << ALIGN_SHIFT | op;
  }

  static int op(int word) {
    return word & OP_MASK;
  }

  static int id(int word) {
    return word >>> ID_SHIFT;
  }

  static long alignment(int word) {
    return 1L << (word >>> ALIGN_SHIFT & ALIGN_MASK);
  }

  int nrEvents() {
    return words.length;
  }

  int nrRuns() {
    return runStarts.length;
  }

  /** The index after the last event of a run. */
  int runEnd(int run) {
    return run + 1 < runStarts.length ? runStarts[run + 1] : words.length;
  }
}
