package io.memcg4j.leak;

import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * Finds what can be reached: every block starts white, a word that points into it makes it gray,
 * and a gray block's words are looked at in turn.
 */
final class Marker {
  /*
   * Layout     the slabs are shared out (MarkShare), one share for each worker; ranges are not.
   * Invariant  nrUnderWay = shares that are held or ready + batches that are in an inbox, and never
   *            less meanwhile: once it is 0 there is nothing left to do, and nobody to make more.
   * Ordering   a batch is counted before it can be seen, and until the holder of its share has made its
   *            objects gray; the holder counts until it has sent what it passes on (MarkEndStress).
   * Locks      this, for the ranges. Blocks' memory is read as it is, while others write, free and
   *            allocate it: slab address space stays mapped as long as its allocator is open.
   * Not        that a pointer is seen which is moved from memory not yet read to memory already read.
   * guaranteed Who reports a leak looks twice.
   * Origin     the colours and the rules for words are kmemleak's; gray bits per slab instead of a list
   *            of objects are this project's.
   */
  /** What one worker reads of a range before another may read on. */
  static final int PIECE_BYTES = 1 << 16;

  final HeapMap map;
  final RangeMap ranges;
  final Specials specials;
  final MarkShare[] shares;

  final AtomicInteger nrUnderWay = new AtomicInteger();
  volatile boolean isAborted;

  /** Of each range: references counted, and whether it is done. Guarded by this. */
  private final int[] counts;

  /** Of each range: references that make it gray; -1 if it is black. */
  private final int[] minCounts;

  /** Of each range: whether a part of it could not be read. Guarded by this. */
  private final boolean[] unreadable;

  /** Gray ranges to be looked into, of the last of which some pieces are taken. Guarded by this. */
  private final LongList grayRanges = new LongList();

  /** The piece of the last one of these that is taken next. Guarded by this. */
  private long nextPiece;

  // What the filter of a word needs.
  final long min;
  final long span;

  /**
   * All blocks white, those that need no reference gray.
   *
   * @param nrShares how many workers will mark
   */
  Marker(HeapMap map, RangeMap ranges, Specials specials, int nrShares) {
    this.map = map;
    this.ranges = ranges;
    this.specials = specials;
    shares = new MarkShare[nrShares];
    for (int i = 0; i < nrShares; i++) {
      shares[i] = new MarkShare(this, i, nrShares);
    }
    counts = new int[ranges.size()];
    unreadable = new boolean[counts.length];
    min = Math.min(map.base, ranges.min());
    span = Math.max(map.base + map.rangeBytes, ranges.max()) - min;
    minCounts = new int[counts.length];
    for (int range = 0; range < counts.length; range++) {
      minCounts[range] = ranges.minCount(range);
    }
    specials.forEach(this::paint);
    for (int range = 0; range < counts.length; range++) {
      if (minCounts[range] == 0) {
        addGray(range);
      }
    }
  }

  private void paint(long address, Attributes attributes) {
    int slab = map.findSlab(address);
    if (slab < 0) {
      paintRange(ranges.find(address), attributes.colour);
      return;
    }
    long index = map.indexOf(slab, address);
    switch (attributes.colour) {
      case WHITE -> {}
      case GRAY -> grayObjects(slab, map.wordOf(slab, index), HeapMap.bitOf(index));
      case BLACK -> {
        for (MarkShare share : shares) {
          share.white[map.wordOf(slab, index)] &= ~HeapMap.bitOf(index);
        }
      }
    }
  }

  private void paintRange(int range, Attributes.Colour colour) {
    if (range >= 0) {
      switch (colour) {
        case WHITE -> {}
        case GRAY -> minCounts[range] = 0;
        case BLACK -> minCounts[range] = -1;
      }
    }
  }

  /** A word that may be a pointer, found while no worker runs. */
  void mark(long value) {
    if (!map.contains(value)) {
      markRange(value);
      return;
    }
    long object = map.objectAt(value);
    int slab = HeapMap.slabOf(object);
    int word = HeapMap.wordOf(object);
    long bit = HeapMap.bitOf(object);
    if ((white(slab, word) & bit) != 0) {
      grayObjects(slab, word, bit);
    }
  }

  /** The share that a slab is in. */
  MarkShare shareOf(int slab) {
    return shares[(slab >>> MarkShare.GROUP_SHIFT) % shares.length];
  }

  /** Objects of a word that are white, while no worker runs. */
  long white(int slab, int word) {
    return shareOf(slab).white[word];
  }

  /** Before workers run: there may be work in every share. */
  void startWorkers() {
    nrUnderWay.set(shares.length);
    for (MarkShare share : shares) {
      share.isReady = true;
    }
  }

  /** Makes all workers stop. */
  void abort() {
    isAborted = true;
  }

  /**
   * Makes white objects of a word gray, while no worker runs; by one thread for a group of slabs.
   */
  void grayObjects(int slab, int word, long bits) {
    MarkShare share = shareOf(slab);
    share.white[word] &= ~bits;
    share.gray[word] |= bits;
    share.pending[slab >>> MarkShare.GROUP_SHIFT] |= 1L << slab;
  }

  /**
   * Marks from what is young, and from what is gray anyway, into some blocks that were white
   * before; all others have been looked at.
   *
   * @param suspects as this marker knows them
   * @param before tells which ranges are old
   * @param seen suspects that something young has been seen to refer to
   */
  synchronized void markFromYoung(List<Scan.Found> suspects, Remembered before, SuspectIndex seen) {
    for (MarkShare share : shares) {
      Arrays.fill(share.white, 0);
    }
    boolean[] isSuspect = new boolean[counts.length];
    for (Scan.Found suspect : suspects) {
      if (suspect.slab() < 0) {
        isSuspect[suspect.word()] = true;
        continue;
      }
      long bit = HeapMap.bitOf(map.indexOf(suspect.slab(), suspect.address()));
      for (MarkShare share : shares) {
        share.white[suspect.word()] |= bit;
      }
    }
    for (int slab = 0; slab < map.nrSlabs(); slab++) {
      int word = map.firstWord(slab);
      for (int end = word + map.nrWords[slab]; word < end; word++) {
        long young = map.live[word] & ~map.old[word];
        if (young != 0) {
          grayObjects(slab, word, young);
        }
      }
    }
    for (int range = 0; range < counts.length; range++) {
      if (!before.isOld(ranges, range) && minCounts[range] > 0) {
        grayRange(range);
      } else if (!isSuspect[range]) {
        counts[range] = Math.max(counts[range], minCounts[range]);
      }
    }
    for (Scan.Found suspect : suspects) {
      if (!seen.isSeen(suspect.address())) {
        continue;
      }
      if (suspect.slab() < 0) {
        grayRange(suspect.word());
      } else {
        mark(suspect.address());
      }
    }
  }

  /** A range is looked into when it is gray: its references to itself change nothing. */
  void markRange(long value) {
    int range = ranges.find(value);
    if (range >= 0 && minCounts[range] > 0) {
      countRange(range, 1);
    }
  }

  /** Makes a white range gray for this scan. */
  void grayRange(int range) {
    countRange(range, minCounts[range]);
  }

  private synchronized void countRange(int range, int more) {
    int before = counts[range];
    // Saturates: only the step to the bound matters.
    counts[range] = Math.min(minCounts[range], before + more);
    if (before < minCounts[range] && counts[range] == minCounts[range]) {
      addGray(range);
    }
  }

  /** Under the range that is being taken, if there is one. */
  private void addGray(int range) {
    if (nextPiece == 0) {
      grayRanges.add(range);
    } else {
      long last = grayRanges.removeLast();
      grayRanges.add(range);
      grayRanges.add(last);
    }
  }

  /** Of a range of which something was said there is one piece. */
  private long nrPieces(int range) {
    long nrBytes = ranges.end(range) - ranges.start(range);
    return specials.of(ranges.start(range)) == null
        ? Math.max(1, Math.ceilDiv(nrBytes, PIECE_BYTES))
        : 1;
  }

  synchronized boolean isWhiteRange(int range) {
    return minCounts[range] > counts[range];
  }

  /**
   * Takes a piece of a gray range to look into: the range in its lower half, the number of the
   * piece in the upper one; -1 if there is none.
   */
  synchronized long takePiece() {
    if (grayRanges.isEmpty()) {
      return -1;
    }
    int range = (int) grayRanges.get(grayRanges.size() - 1);
    long piece = nextPiece++;
    if (nextPiece == nrPieces(range)) {
      grayRanges.removeLast();
      nextPiece = 0;
    }
    return piece << Integer.SIZE | range;
  }

  synchronized boolean hasPiece() {
    return !grayRanges.isEmpty();
  }

  /** Notes that a part of a range could not be read; tells whether it is the first one. */
  synchronized boolean noteUnreadable(int range) {
    boolean isFirst = !unreadable[range];
    unreadable[range] = true;
    return isFirst;
  }

  /** What only some blocks have, by their address. */
  interface Specials {
    /** No block has anything. */
    Specials NONE =
        new Specials() {
          @Override
          public @Nullable Attributes of(long address) {
            return null;
          }

          @Override
          public void forEach(Each each) {}

          @Override
          public boolean isEmpty() {
            return true;
          }
        };

    @Nullable Attributes of(long address);

    void forEach(Each each);

    boolean isEmpty();

    /** Gets a block. */
    interface Each {
      void accept(long address, Attributes attributes);
    }
  }
}
