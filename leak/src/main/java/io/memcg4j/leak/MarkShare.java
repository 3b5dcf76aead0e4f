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

  /** Objects that are marked at a time, at most. */
  static final int MAX_OBJECTS = 1024;

  private static final int BATCH = 512;
  private static final int BOX = BATCH + MAX_OBJECTS;
  private static final int MAX_SPARE = 16;

  final long[] white;
  final long[] gray;
  final long[] pending;

  /** The group of slabs to look at next. */
  int cursor;

  /** Whether there may be work in it that no batch brought. */
  volatile boolean isReady;

  private final int index;
  private final int nrShares;
  private final Marker marker;
  private final byte[] shareOfGroup;
  private final AtomicBoolean held = new AtomicBoolean();

  /** Batches: how many objects, and these. */
  private final Queue<long[]> inbox = new ConcurrentLinkedQueue<>();

  /** For each share, BOX objects to be passed on to it; for this one, to be made gray. */
  private final long[] outboxes;

  /** Of each share, where its objects in the outboxes end. */
  private final int[] ends;

  /** Batches that came in, for those to be sent: fresh memory would be misses of the cache. */
  private final long[][] spare;

  private int nrSpare;

  MarkShare(Marker marker, int index, byte[] shareOfGroup, int nrShares) {
    this.marker = marker;
    this.shareOfGroup = shareOfGroup;
    this.index = index;
    white = Arrays.copyOf(marker.map.live, marker.map.live.length + 1);
    gray = new long[white.length];
    pending = new long[shareOfGroup.length];
    this.nrShares = nrShares;
    outboxes = new long[nrShares == 1 ? 0 : nrShares * BOX];
    spare = new long[nrShares == 1 ? 0 : MAX_SPARE][];
    ends = new int[nrShares];
    Arrays.setAll(ends, MarkShare::start);
  }

  /** Where the objects for a share begin in the outboxes. */
  private static int start(int share) {
    return share * BOX;
  }

  /**
   * Of objects that are white here: makes them gray, or passes them on to the shares they are in.
   */
  void mark(long[] objects, int nrObjects) {
    if (nrShares == 1) {
      for (int i = 0; i < nrObjects; i++) {
        white[HeapMap.wordOf(objects[i])] &= ~HeapMap.bitOf(objects[i]);
      }
      makeGray(objects, 0, nrObjects);
      return;
    }
    sort(objects, nrObjects);
    makeGray(outboxes, start(index), ends[index]);
    ends[index] = start(index);
    for (int share = 0; share < nrShares; share++) {
      if (ends[share] - start(share) >= BATCH) {
        send(share);
      }
    }
  }

  /** No branch: which share an object is in cannot be foretold. */
  private void sort(long[] objects, int nrObjects) {
    long[] boxes = outboxes;
    int[] to = ends;
    byte[] shares = shareOfGroup;
    long[] whites = white;
    for (int i = 0; i < nrObjects; i++) {
      long object = objects[i];
      int share = shares[HeapMap.slabOf(object) >>> GROUP_SHIFT];
      int end = to[share];
      boxes[end] = object;
      to[share] = end + 1;
      whites[HeapMap.wordOf(object)] &= ~HeapMap.bitOf(object);
    }
  }

  private void makeGray(long[] objects, int from, int to) {
    long[] grays = gray;
    long[] groups = pending;
    for (int i = from; i < to; i++) {
      long object = objects[i];
      int slab = HeapMap.slabOf(object);
      grays[HeapMap.wordOf(object)] |= HeapMap.bitOf(object);
      groups[slab >>> GROUP_SHIFT] |= 1L << slab;
    }
  }

  private void send(int share) {
    // Before the batch can be seen: the work is never thought to be done while it is under way.
    marker.nrUnderWay.getAndIncrement();
    int nrObjects = ends[share] - start(share);
    long[] batch = newBatch(nrObjects);
    batch[0] = nrObjects;
    System.arraycopy(outboxes, start(share), batch, 1, nrObjects);
    marker.shares[share].inbox.add(batch);
    ends[share] = start(share);
  }

  private long[] newBatch(int nrObjects) {
    if (nrObjects < BATCH) {
      return new long[1 + nrObjects];
    }
    return nrSpare == 0 ? new long[1 + BOX] : spare[--nrSpare];
  }

  /** Sends what is to be passed on, all of it or only to shares that nobody works on. */
  void flush(boolean all) {
    for (int share = 0; share < nrShares; share++) {
      if (ends[share] > start(share) && (all || !marker.shares[share].held.get())) {
        send(share);
      }
    }
  }

  /** Makes gray what others have passed on. */
  void receive() {
    for (long[] batch = inbox.poll(); batch != null; batch = inbox.poll()) {
      int end = 1 + (int) batch[0];
      for (int i = 1; i < end; i++) {
        long object = batch[i];
        int slab = HeapMap.slabOf(object);
        int word = HeapMap.wordOf(object);
        // No branch: half of them would be foretold wrongly.
        long fresh = white[word] & HeapMap.bitOf(object);
        white[word] ^= fresh;
        gray[word] |= fresh;
        pending[slab >>> GROUP_SHIFT] |= 1L << slab;
      }
      marker.nrUnderWay.getAndDecrement();
      if (batch.length == 1 + BOX && nrSpare < MAX_SPARE) {
        spare[nrSpare++] = batch;
      }
    }
  }

  /** After marking: a dump of the Java heap would take what is in batches for addresses. */
  void dropBatches() {
    Arrays.fill(spare, null);
    nrSpare = 0;
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
