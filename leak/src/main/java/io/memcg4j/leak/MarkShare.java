package io.memcg4j.leak;

import java.util.Arrays;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicBoolean;

/** A part of the slabs, and what marking knows of their objects. */
final class MarkShare {
  /*
   * Layout     a share has every nth group of 64 slabs. white: of its own slabs' objects, those that
   *            nobody was seen to refer to; of others' objects, those that it has not found yet. gray,
   *            pending: of its own slabs, what is to be looked into; of others', what is to be passed
   *            on. Slabs are visited in the order of their addresses, round and round, none twice in a
   *            round, so that a visit finds many gray objects and reads their memory forward.
   *            A batch has the place behind its last word, then groups: the number, the pending slabs,
   *            and their words of gray, from the first one's to the last one's.
   * Invariant  an object is in one of: white in its own share; gray in another share, or in a batch,
   *            too; gray in its own share, and then its slab is pending; done.
   * Ordering   a share is used by whoever holds it: claimed by a CAS, released by a volatile store, so
   *            everything else in it is plain. Only the inbox is everybody's.
   * Why        two workers on one bitmap pay an atomic operation for each mark, and for the cache line
   *            that the other one has: together they were slower than one. To ask of each object whose
   *            it is, and to pass it on by itself, costs as much as to find it; words of bits cost a
   *            part of that once some objects have been found for each word.
   */
  static final int GROUP_SHIFT = 6;

  /** Objects that are found for each word that is passed on. */
  private static final int OBJECTS_PER_WORD = 2;

  private static final int GROUP_HEADER = 2;
  private static final int SMALL_BATCH = 64;
  private static final int MAX_SPARE = 16;

  final long[] white;
  final long[] gray;
  final long[] pending;

  /** Whether there may be work in it that no batch brought. */
  volatile boolean isReady;

  private final int index;
  private final int nrShares;

  /** How many are its own. */
  private final int nrGroups;

  private final Marker marker;
  private final HeapMap map;
  private final AtomicBoolean held = new AtomicBoolean();
  private final Queue<long[]> inbox = new ConcurrentLinkedQueue<>();

  /** Of a batch that has room for any group. */
  private final int batchWords;

  /** Such batches that came in, for those to be sent: fresh memory would be misses of the cache. */
  private final long[][] spare;

  private int nrSpare;

  /** Its own group to look at next. */
  private int cursor;

  /** The group that is passed on next, if it is another share's. */
  private int passCursor;

  /** Objects that were found and not yet made up for by passing on. */
  private int nrFound;

  MarkShare(Marker marker, int index, int nrShares) {
    this.marker = marker;
    this.index = index;
    this.nrShares = nrShares;
    map = marker.map;
    white = Arrays.copyOf(map.live, map.live.length + 1);
    gray = new long[white.length];
    // At least one: the object that stands for none is of the first slab.
    pending = new long[Math.max(1, (map.nrSlabs() + Long.SIZE - 1) >>> GROUP_SHIFT)];
    spare = new long[nrShares == 1 ? 0 : MAX_SPARE][];
    batchWords = 1 + GROUP_HEADER + (nrShares == 1 ? 0 : mostWords());
    nrGroups = Math.max(0, Math.ceilDiv(pending.length - index, nrShares));
    cursor = index;
  }

  private int mostWords() {
    int most = 0;
    for (int group = 0; group << GROUP_SHIFT < map.nrSlabs(); group++) {
      most = Math.max(most, endWord(group, -1) - firstWord(group, -1));
    }
    return most;
  }

  /** The first word of some slabs of a group. */
  private int firstWord(int group, long slabs) {
    return map.firstWord((group << GROUP_SHIFT) + Long.numberOfTrailingZeros(slabs));
  }

  /** The word behind some slabs of a group. */
  private int endWord(int group, long slabs) {
    int last = (group << GROUP_SHIFT) + Long.SIZE - 1 - Long.numberOfLeadingZeros(slabs);
    int slab = Math.min(last, map.nrSlabs() - 1);
    return map.firstWord(slab) + map.nrWords[slab];
  }

  // ---- its own slabs

  /** The next of its groups that has pending slabs, round and round; -1 if none has. */
  int nextPending() {
    int group = cursor;
    for (int looked = 0; looked < nrGroups; looked++) {
      int next = group + nrShares < pending.length ? group + nrShares : index;
      if (pending[group] != 0) {
        cursor = next;
        return group;
      }
      group = next;
    }
    return -1;
  }

  /** Of objects that are white here: makes them gray. */
  void mark(long[] objects, int nrObjects) {
    long[] whites = white;
    for (int i = 0; i < nrObjects; i++) {
      whites[HeapMap.wordOf(objects[i])] &= ~HeapMap.bitOf(objects[i]);
    }
    long[] grays = gray;
    long[] groups = pending;
    for (int i = 0; i < nrObjects; i++) {
      long object = objects[i];
      int slab = HeapMap.slabOf(object);
      grays[HeapMap.wordOf(object)] |= HeapMap.bitOf(object);
      groups[slab >>> GROUP_SHIFT] |= 1L << slab;
    }
    if (nrShares > 1) {
      nrFound += nrObjects;
      passOn();
    }
  }

  // ---- what others get of it

  /** Passes on as many groups as the objects found since then make up for. */
  private void passOn() {
    for (int looked = 0; looked < pending.length; looked++) {
      int group = passCursor;
      int share = group % nrShares;
      if (share != index && pending[group] != 0) {
        int nrWords = nrWords(group);
        if (nrFound < OBJECTS_PER_WORD * nrWords) {
          return;
        }
        nrFound -= OBJECTS_PER_WORD * nrWords;
        send(batch(group, group + 1, nrWords), share);
      }
      passCursor = group + 1 == pending.length ? 0 : group + 1;
    }
    nrFound = 0;
  }

  /** What a group takes in a batch. */
  private int nrWords(int group) {
    long slabs = pending[group];
    return GROUP_HEADER + endWord(group, slabs) - firstWord(group, slabs);
  }

  private int put(int group, long[] batch, int at) {
    long slabs = pending[group];
    int first = firstWord(group, slabs);
    int end = endWord(group, slabs);
    batch[at] = group;
    batch[at + 1] = slabs;
    System.arraycopy(gray, first, batch, at + GROUP_HEADER, end - first);
    Arrays.fill(gray, first, end, 0);
    pending[group] = 0;
    return at + GROUP_HEADER + end - first;
  }

  private long[] newBatch(int nrWords) {
    if (nrWords < SMALL_BATCH) {
      return new long[1 + nrWords];
    }
    return nrSpare == 0 ? new long[batchWords] : spare[--nrSpare];
  }

  private void send(long[] batch, int share) {
    // Before the batch can be seen: the work is never thought to be done while it is under way.
    marker.nrUnderWay.getAndIncrement();
    marker.shares[share].inbox.add(batch);
  }

  /** Sends what is to be passed on, all of it or only to shares that nobody works on. */
  void flush(boolean all) {
    for (int share = 0; share < nrShares; share++) {
      if (share != index && (all || !marker.shares[share].held.get())) {
        flush(share);
      }
    }
  }

  /** In few batches. */
  private void flush(int share) {
    for (int from = share, to = share; to < pending.length; from = to) {
      int nrWords = 0;
      for (; to < pending.length; to += nrShares) {
        int more = pending[to] == 0 ? 0 : nrWords(to);
        if (1 + nrWords + more > batchWords) {
          break;
        }
        nrWords += more;
      }
      if (nrWords > 0) {
        send(batch(from, to, nrWords), share);
      }
    }
  }

  private long[] batch(int from, int to, int nrWords) {
    long[] batch = newBatch(nrWords);
    int end = 1;
    for (int group = from; group < to; group += nrShares) {
      if (pending[group] != 0) {
        end = put(group, batch, end);
      }
    }
    batch[0] = end;
    return batch;
  }

  // ---- what it gets of others

  /** Makes gray what others have passed on. */
  void receive() {
    for (long[] batch = inbox.poll(); batch != null; batch = inbox.poll()) {
      for (int at = 1; at < batch[0]; ) {
        at = take(batch, at);
      }
      marker.nrUnderWay.getAndDecrement();
      if (batch.length == batchWords && nrSpare < MAX_SPARE) {
        spare[nrSpare++] = batch;
      }
    }
  }

  private int take(long[] batch, int at) {
    int group = (int) batch[at];
    long slabs = batch[at + 1];
    int from = at + GROUP_HEADER;
    int end = endWord(group, slabs);
    long[] whites = white;
    long[] grays = gray;
    for (int word = firstWord(group, slabs); word < end; word++) {
      long fresh = whites[word] & batch[from++];
      whites[word] ^= fresh;
      grays[word] |= fresh;
    }
    pending[group] |= slabs;
    return from;
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
