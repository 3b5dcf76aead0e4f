package io.memcg4j.leak;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.CancellationException;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/** The checksum of memory that may be unmapped meanwhile. */
final class ForeignChecksum {
  private static final int COPY_BYTES = 1 << 16;

  private ForeignChecksum() {}

  /**
   * The checksum of all copies of a range's contents in a row; null if a page is missing.
   *
   * @throws CancellationException if the pace says so
   */
  static @Nullable Integer of(RangeMap ranges, int range, Pace pace) {
    long sinceNanos = System.nanoTime();
    long nrBytes = ranges.end(range) - ranges.start(range);
    CRC32C crc = new CRC32C();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment copy = arena.allocate(Math.min(COPY_BYTES, nrBytes), Long.BYTES);
      MemorySegment vectors = arena.allocate(Memory.vectorBytes(), Long.BYTES);
      for (int n = 0; n < ranges.nrCopies(range); n++) {
        long address = ranges.start(range) + n * ranges.copyStride(range);
        for (long done = 0; done < nrBytes; ) {
          MemorySegment piece = copy.asSlice(0, Math.min(copy.byteSize(), nrBytes - done));
          if (Memory.read(address + done, piece, vectors) != piece.byteSize()) {
            return null;
          }
          crc.update(piece.asByteBuffer());
          done += piece.byteSize();
          sinceNanos = pace.rest(sinceNanos);
        }
      }
    }
    return (int) crc.getValue();
  }
}
