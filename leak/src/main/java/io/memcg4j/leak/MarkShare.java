package io.memcg4j.leak;

import java.util.Arrays;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicBoolean;

/** A part of the slabs, and what marking knows of their objects. */
final class MarkShare {
  /*
   * Layout     a share has every nth group of 64 slabs. white: of its own slabs' objects, those that
   *            nobody was seen to refer to; of others' objects, those that it has not passed on yet. gray,
   *            pending: of its own slabs only. Slabs are visited in the order of their addresses, round
   *            and round, so that a visit finds many gray objects and reads their memory forward.
   * Invariant  an object is in one of: white; passed on, in an outbox or inbox; gray, and then its slab
   *            is pending; done.
   * Ordering   a share is used by whoever holds it: claimed by a CAS, released by a volatile store, so
   *            everything else in it is plain. Only the inbox is everybody's.
   * Why        two workers on one bitmap pay an atomic operation for each mark, and for the cache line
   *            that the other one has: together they were slower than one.
   */
  static final int GROUP_SHIFT = 6;

  private static final int BATCH = 512;

  // An object under way: its slab, the word of its bit, and the bit's number. A range of addresses
  // has 2^23 chunks, and so as many slabs at most.
  private static final int SLAB_SHIFT = 37;
  private static final int WORD_SHIFT = 6;

  final long[] white;
  final long[] gray;
  final long[] pending;

  /** The group of slabs to look at next. */
  int cursor;

  /** Whether there may be work in it that no batch brought. */
  volatile boolean isReady;

  private final int index;
  private final Marker marker;
  private final byte[] shareOfGroup;
  private final AtomicBoolean held = new AtomicBoolean();
  private final Queue<long[]> inbox = new ConcurrentLinkedQueue<>();
  private final long[][] outboxes;
  private final int[] nrOut;

  MarkShare(Marker marker, int index, byte[] shareOfGroup, int nrShares) {
    this.marker = marker;
    this.shareOfGroup = shareOfGroup;
    this.index = index;
    white = marker.map.live.clone();
    gray = new long[white.length];
    pending = new long[shareOfGroup.length];
    outboxes = new long[nrShares][nrShares == 1 ? 0 : BATCH];
    nrOut = new int[nrShares];
  }

  /** Of an object that is white here: makes it gray, or passes it on to the share that it is in. */
  void markObject(int slab, int word, long bit) {
    white[word] &= ~bit;
    int group = slab >>> GROUP_SHIFT;
    int share = shareOfGroup[group];
    if (share == index) {
      gray[word] |= bit;
      pending[group] |= 1L << slab;
    } else {
      pass(share, slab, word, bit);
    }
  }

  private void pass(int share, int slab, int word, long bit) {
    int at = nrOut[share];
    outboxes[share][at] =
        ((long) slab << SLAB_SHIFT) | ((long) word << WORD_SHIFT) | Long.numberOfTrailingZeros(bit);
    nrOut[share] = at + 1;
    if (at + 1 == BATCH) {
      send(share);
    }
  }

  private void send(int share) {
    // Before the batch can be seen: the work is never thought to be done while it is under way.
    marker.nrUnderWay.getAndIncrement();
    marker.shares[share].inbox.add(Arrays.copyOf(outboxes[share], nrOut[share]));
    nrOut[share] = 0;
  }

  /** Sends what is to be passed on, all of it or only to shares that nobody works on. */
  void flush(boolean all) {
    for (int share = 0; share < nrOut.length; share++) {
      if (nrOut[share] > 0 && (all || !marker.shares[share].held.get())) {
        send(share);
      }
    }
  }

  /** Makes gray what others have passed on. */
  void receive() {
    for (long[] batch = inbox.poll(); batch != null; batch = inbox.poll()) {
      for (long object : batch) {
        int slab = (int) (object >>> SLAB_SHIFT);
        int word = (int) (object >>> WORD_SHIFT) & Integer.MAX_VALUE;
        // A shift takes the low six bits only. No branch: half of them would be foretold wrongly.
        long fresh = white[word] & 1L << object;
        white[word] ^= fresh;
        gray[word] |= fresh;
        pending[slab >>> GROUP_SHIFT] |= 1L << slab;
      }
      marker.nrUnderWay.getAndDecrement();
    }
  }

  boolean hasMail() {
    return !inbox.isEmpty();
  }

  /** Makes the caller its holder if there is work in it and nobody has it; to be released. */
  boolean claim() {
    if (held.get() || !(isReady || hasMail())) {
      return false;
    }
    marker.nrUnderWay.getAndIncrement();
    if (!held.compareAndSet(false, true)) {
      marker.nrUnderWay.getAndDecrement();
      return false;
    }
    if (isReady) {
      isReady = false;
      marker.nrUnderWay.getAndDecrement();
    }
    return true;
  }

  /** By its holder, when nothing is left in it but what came in meanwhile. */
  void release() {
    held.set(false);
    marker.nrUnderWay.getAndDecrement();
  }
}
