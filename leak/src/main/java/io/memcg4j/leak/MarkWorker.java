package io.memcg4j.leak;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/** One thread that looks into gray blocks until there are none. */
final class MarkWorker implements Runnable {
  private static final int WORD = Long.BYTES;

  // A piece is what is read without a look at whether to stop or to rest.
  private static final int PIECE_BYTES = 1 << 20;
  private static final int SLABS_PER_REST = 32;
  private static final int SPINS = 1000;
  private static final long WAIT_NANOS = 50_000;

  private final Marker marker;
  private final HeapMap map;
  private final Pace pace;
  private final boolean hasSpecials;
  private final GrayLines lines;
  private MarkShare share;
  private @Nullable MemorySegment copy;
  private @Nullable MemorySegment vectors;
  private long sinceNanos;
  private int nrVisits;

  long nrObjects;
  long nrBytes;
  long nrUnreadable;

  /** Uses memory of an arena, and the map's table of chunks: only while it is open. */
  MarkWorker(Marker marker, Pace pace, int index, long chunks, Arena arena) {
    this.marker = marker;
    this.pace = pace;
    share = marker.shares[index];
    map = marker.map;
    hasSpecials = !marker.specials.isEmpty();
    lines = new GrayLines(new PointerBatch(marker, chunks, arena));
  }

  /** Looks into gray blocks, and into those that become gray by it, until there are none. */
  @Override
  public void run() {
    sinceNanos = System.nanoTime();
    try (Arena arena = Arena.ofConfined()) {
      int idle = 0;
      while (marker.nrUnderWay.get() > 0 && !marker.isAborted) {
        if (claim()) {
          idle = 0;
          work(arena);
          share.release();
        } else if (++idle < SPINS) {
          Thread.onSpinWait();
        } else {
          pace.check();
          LockSupport.parkNanos(this, WAIT_NANOS);
        }
      }
    } finally {
      copy = null;
      vectors = null;
    }
  }

  /** Finds a share with work that nobody has: the last one, if possible. */
  private boolean claim() {
    if (share.claim()) {
      return true;
    }
    for (MarkShare other : marker.shares) {
      if (other.claim()) {
        share = other;
        return true;
      }
    }
    return false;
  }

  /** Works until there is nothing left to do in the share. */
  private void work(Arena arena) {
    do {
      visitRanges(arena);
      visitSlabs();
      share.flush(true);
    } while ((share.hasMail() || marker.hasPiece()) && !marker.isAborted);
  }

  private void visitSlabs() {
    share.receive();
    while (true) {
      int group = share.nextPending();
      if (group >= 0) {
        visitGroup(group);
      } else if (lines.isEmpty()) {
        return;
      } else {
        lines.readInto(share); // no slab adds to it: what it leads to may be pending now
      }
    }
  }

  /** Visits each pending slab of a group once. */
  private void visitGroup(int group) {
    MarkShare mine = share;
    long[] pending = mine.pending;
    long next = -1;
    while ((pending[group] & next) != 0) {
      int bit = Long.numberOfTrailingZeros(pending[group] & next);
      pending[group] &= ~(1L << bit);
      next = -2L << bit;
      visit((group << MarkShare.GROUP_SHIFT) + bit);
      mine.flush(false);
      if (mine.hasMail()) {
        mine.receive();
      }
      rest(++nrVisits);
    }
  }

  private void rest(int nrVisits) {
    if (nrVisits % SLABS_PER_REST == 0) {
      sinceNanos = pace.rest(sinceNanos);
    }
  }

  private void visit(int slab) {
    int word = map.firstWord(slab);
    int end = word + map.nrWords[slab];
    long objectBytes = map.objectBytes[slab];
    long stride = objectBytes << HeapMap.WORD_SHIFT;
    long address = map.slabBase(slab);
    long[] gray = share.gray;
    boolean plain = !hasSpecials && objectBytes <= PIECE_BYTES;
    long nr = 0;
    for (; word < end; word++, address += stride) {
      long bits = gray[word];
      if (bits == 0) {
        continue;
      }
      gray[word] = 0;
      if (plain) {
        nr += Long.bitCount(bits);
        lines.add(address, objectBytes, bits, share);
        continue;
      }
      for (; bits != 0; bits &= bits - 1) {
        long object = address + Long.numberOfTrailingZeros(bits) * objectBytes;
        if (hasSpecials) {
          visitSpecial(object, objectBytes);
        } else {
          visitObject(object, objectBytes);
        }
      }
    }
    nrObjects += nr;
    nrBytes += nr * objectBytes;
  }

  private void visitSpecial(long object, long objectBytes) {
    Attributes attributes = marker.specials.of(object);
    if (attributes == null || (attributes.areas.isEmpty() && !attributes.noScan)) {
      visitObject(object, objectBytes);
    } else if (!attributes.noScan) {
      for (Attributes.Area area : attributes.areas) {
        long offset = Math.min(area.offset(), objectBytes);
        visitObject(object + offset, Math.min(area.nrBytes(), objectBytes - offset));
      }
    }
  }

  /** Looks at a part of an object, in pieces. */
  private void visitObject(long from, long length) {
    nrObjects++;
    nrBytes += length;
    long end = (from + length) & -WORD;
    for (long at = (from + WORD - 1) & -WORD; at < end; at += PIECE_BYTES) {
      lines.add(at, Math.min(PIECE_BYTES, end - at), share);
      if (length > PIECE_BYTES) {
        sinceNanos = pace.rest(sinceNanos);
      }
    }
  }

  // ---- outside the slabs

  private void visitRanges(Arena arena) {
    for (long taken = marker.takePiece(); taken >= 0; taken = marker.takePiece()) {
      int range = (int) taken;
      long piece = taken >>> Integer.SIZE;
      nrObjects += piece == 0 ? 1 : 0;
      long start = marker.ranges.start(range);
      Attributes attributes = marker.specials.of(start);
      long length = marker.ranges.end(range) - start;
      if (attributes == null || (attributes.areas.isEmpty() && !attributes.noScan)) {
        // Pieces begin with whole words.
        long shift = -start & (WORD - 1);
        long from = piece == 0 ? 0 : piece * Marker.PIECE_BYTES + shift;
        long end = (piece + 1) * Marker.PIECE_BYTES + shift;
        visitCopies(arena, range, from, attributes == null ? Math.min(length, end) : length);
      } else if (!attributes.noScan) {
        for (Attributes.Area area : attributes.areas) {
          long offset = Math.min(area.offset(), length);
          visitCopies(arena, range, offset, Math.min(offset + area.nrBytes(), length));
        }
      }
    }
  }

  private void visitCopies(Arena arena, int range, long from, long end) {
    long start = marker.ranges.start(range);
    for (int copy = 0; copy < marker.ranges.nrCopies(range); copy++) {
      long base = start + copy * marker.ranges.copyStride(range);
      visitForeign(arena, range, base + from, base + end);
    }
  }

  /** Looks at memory that may be unmapped meanwhile: at a copy, as far as one can be made. */
  private void visitForeign(Arena arena, int range, long from, long end) {
    MemorySegment into = copy;
    MemorySegment vector = vectors;
    if (into == null || vector == null) {
      into = arena.allocate(Marker.PIECE_BYTES, WORD);
      vector = arena.allocate(Memory.vectorBytes(), WORD);
      copy = into;
      vectors = vector;
    }
    for (long at = (from + WORD - 1) & -WORD; end - at >= WORD; at += Marker.PIECE_BYTES) {
      long wanted = Math.min(Marker.PIECE_BYTES, (end - at) & -WORD);
      long copied = Memory.read(at, into.asSlice(0, wanted), vector);
      nrBytes += copied;
      lines.add(into.address(), copied & -WORD, share);
      lines.readInto(share);
      sinceNanos = pace.rest(sinceNanos);
      if (copied < wanted) {
        nrUnreadable += marker.noteUnreadable(range) ? 1 : 0;
        return;
      }
    }
  }
}
