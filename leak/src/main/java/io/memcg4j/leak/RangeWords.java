package io.memcg4j.leak;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.CancellationException;
import java.util.function.LongConsumer;

/** Words of memory that may be unmapped meanwhile. */
final class RangeWords {
  private static final int WORD = Long.BYTES;
  private static final int COPY_BYTES = 1 << 16;

  private RangeWords() {}

  /**
   * Passes on the words of a part of a range, of all its copies, as far as they can be read.
   *
   * @param from address in the first copy
   * @param end likewise, exclusive
   * @throws CancellationException if the pace says so
   */
  static void read(RangeMap ranges, int range, long from, long end, LongConsumer sink, Pace pace) {
    long first = (from + WORD - 1) & -WORD;
    if (end - first < WORD) {
      return;
    }
    long sinceNanos = System.nanoTime();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment copy = arena.allocate(Math.min(COPY_BYTES, (end - first) & -WORD), WORD);
      MemorySegment vectors = arena.allocate(Memory.vectorBytes(), WORD);
      for (int n = 0; n < ranges.nrCopies(range); n++) {
        long shift = n * ranges.copyStride(range);
        for (long at = first; end - at >= WORD; at += COPY_BYTES) {
          long wanted = Math.min(COPY_BYTES, (end - at) & -WORD);
          long copied = Memory.read(at + shift, copy.asSlice(0, wanted), vectors);
          for (long done = 0; copied - done >= WORD; done += WORD) {
            sink.accept(copy.get(JAVA_LONG, done));
          }
          sinceNanos = pace.rest(sinceNanos);
        }
      }
    }
  }
}
