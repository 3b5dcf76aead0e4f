package io.memcg4j.leak;

import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;

import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.LongConsumer;

/** Slabs in native memory, with objects allocated by hand: what a scan sees of an allocator. */
final class FakeHeap implements Scan.Source, AutoCloseable {
  static final int CHUNK_SHIFT = 15;
  static final int CHUNK = 1 << CHUNK_SHIFT;

  private record FakeSlab(
      long base, int nrChunks, long objectBytes, long usable, long magic, int first) {}

  final Arena arena = Arena.ofShared();
  private final List<FakeSlab> slabs = new ArrayList<>();
  private final int[] slabOfChunk;
  private int nextChunk;
  private long[] live = {};
  private long[] old = {};
  final long base;
  RangeMap ranges = RangeMap.EMPTY;
  Marker.Specials specials = Marker.Specials.NONE;

  /** What the application does as soon as somebody has looked. */
  Runnable afterMap = () -> {};

  FakeHeap(int nrChunks) {
    base = arena.allocate((long) nrChunks * CHUNK, CHUNK).address();
    slabOfChunk = new int[nrChunks];
    Arrays.fill(slabOfChunk, -1);
  }

  long foreign(long nrBytes) {
    return arena.allocate(nrBytes, 8).address();
  }

  /** Adds a slab of small objects, all free. */
  int addSlab(int objectBytes, int nrChunks) {
    int nrObjects = Math.min(4096, nrChunks * CHUNK / objectBytes);
    return add(
        nrChunks,
        objectBytes,
        (long) nrObjects * objectBytes,
        ((1L << 32) + objectBytes - 1) / objectBytes,
        Math.ceilDiv(nrObjects, Long.SIZE));
  }

  int addLarge(long nrBytes) {
    int nrChunks = (int) ((nrBytes + CHUNK - 1) / CHUNK);
    return add(nrChunks, nrBytes, nrBytes, 0, 1);
  }

  private int add(int nrChunks, long objectBytes, long usable, long magic, int nrWords) {
    int slab = slabs.size();
    long at = base + (long) nextChunk * CHUNK;
    slabs.add(new FakeSlab(at, nrChunks, objectBytes, usable, magic, live.length));
    Arrays.fill(slabOfChunk, nextChunk, nextChunk + nrChunks, slab);
    nextChunk += nrChunks;
    live = Arrays.copyOf(live, live.length + nrWords);
    old = Arrays.copyOf(old, live.length);
    return slab;
  }

  int nrObjects(int slab) {
    FakeSlab s = slabs.get(slab);
    return (int) (s.usable / s.objectBytes);
  }

  /** Allocates an object by its number in the slab; it is young. */
  long allocate(int slab, int index) {
    FakeSlab s = slabs.get(slab);
    live[s.first + (index >>> HeapMap.WORD_SHIFT)] |= HeapMap.bitOf(index);
    return s.base + index * s.objectBytes;
  }

  void free(int slab, int index) {
    FakeSlab s = slabs.get(slab);
    int word = s.first + (index >>> HeapMap.WORD_SHIFT);
    live[word] &= ~HeapMap.bitOf(index);
    old[word] &= ~HeapMap.bitOf(index);
  }

  /** Everything that is allocated now is old from here on. */
  void age() {
    old = live.clone();
  }

  static void put(long address, long value) {
    Memory.ALL.set(JAVA_LONG_UNALIGNED, address, value);
  }

  @Override
  public HeapMap map() {
    long[] geometry = new long[slabs.size() * HeapMap.GEOMETRY];
    long[] objectBytes = new long[slabs.size()];
    int[] nrWords = new int[slabs.size()];
    for (int i = 0; i < slabs.size(); i++) {
      FakeSlab s = slabs.get(i);
      geometry[i * HeapMap.GEOMETRY + HeapMap.BASE] = s.base;
      geometry[i * HeapMap.GEOMETRY + HeapMap.USABLE] = s.usable;
      geometry[i * HeapMap.GEOMETRY + HeapMap.MAGIC] = s.magic;
      geometry[i * HeapMap.GEOMETRY + HeapMap.FIRST] = HeapMap.object(i, s.first, 0);
      objectBytes[i] = s.objectBytes;
      nrWords[i] = (i + 1 < slabs.size() ? slabs.get(i + 1).first : live.length) - s.first;
    }
    HeapMap map =
        new HeapMap(
            base,
            CHUNK_SHIFT,
            slabOfChunk.clone(),
            geometry,
            objectBytes,
            nrWords,
            live.clone(),
            old.clone());
    afterMap.run();
    return map;
  }

  @Override
  public RangeMap ranges() {
    return ranges;
  }

  @Override
  public Marker.Specials specials() {
    return specials;
  }

  @Override
  public void readYoung(Remembered before, LongConsumer sink, Pace pace) {
    for (FakeSlab slab : slabs) {
      for (int index = 0; index < slab.usable / slab.objectBytes; index++) {
        int word = slab.first + (index >>> HeapMap.WORD_SHIFT);
        long bit = HeapMap.bitOf(index);
        long address = slab.base + index * slab.objectBytes;
        if ((live[word] & ~old[word] & bit) != 0 && specials.of(address) == null) {
          for (long offset = 0; slab.objectBytes - offset >= 8; offset += 8) {
            sink.accept(Memory.ALL.get(JAVA_LONG_UNALIGNED, address + offset));
          }
        }
      }
    }
    for (int range = 0; range < ranges.size(); range++) {
      if (!before.isOld(ranges, range)) {
        RangeWords.read(ranges, range, ranges.start(range), ranges.end(range), sink, pace);
      }
    }
  }

  @Override
  public void close() {
    arena.close();
  }
}
