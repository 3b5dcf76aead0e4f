package io.memcg4j.benchmarks;

import io.memcg4j.slab.AddressTree;
import java.util.Arrays;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.locks.Lock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.concurrent.locks.StampedLock;
import org.jspecify.annotations.Nullable;

/** An index of ranges by address, as {@code bench tree} compares them. */
interface RangeIndex {
  /** The value of a range here: its size and what it belongs to. */
  record Area(long start, long nrBytes) {}

  void insert(Area area);

  void remove(long start);

  /** The area around an address. */
  @Nullable Area find(long address);

  /** A sum over all areas, in order. */
  long walk();

  /** Makes the index of a subject. */
  static RangeIndex of(String subject) {
    return switch (subject) {
      case TreeBench.MEMCG4J -> new Tree();
      case TreeBench.SKIP_LIST -> new SkipList();
      case TreeBench.READ_WRITE_LOCK -> {
        ReentrantReadWriteLock lock = new ReentrantReadWriteLock();
        yield new LockedMap(lock.readLock(), lock.writeLock());
      }
      case TreeBench.STAMPED_LOCK -> {
        StampedLock lock = new StampedLock();
        yield new LockedMap(lock.asReadLock(), lock.asWriteLock());
      }
      case TreeBench.OPTIMISTIC -> new OptimisticArray();
      case TreeBench.UNLOCKED -> new UnlockedMap();
      default -> throw new IllegalArgumentException("unknown subject: name=" + subject);
    };
  }

  private static @Nullable Area covering(Map.@Nullable Entry<Long, Area> floor, long address) {
    if (floor == null) {
      return null;
    }
    Area area = floor.getValue();
    return address - area.start < area.nrBytes ? area : null;
  }

  private static long sum(NavigableMap<Long, Area> map) {
    long sum = 0;
    for (Area area : map.values()) {
      sum += area.start ^ area.nrBytes;
    }
    return sum;
  }

  /** Ours. */
  final class Tree implements RangeIndex {
    private final AddressTree<Area> tree = new AddressTree<>();

    @Override
    public void insert(Area area) {
      tree.insert(area.start, area.nrBytes, area);
    }

    @Override
    public void remove(long start) {
      tree.remove(start);
    }

    @Override
    public @Nullable Area find(long address) {
      return tree.find(address);
    }

    @Override
    public long walk() {
      long[] sum = {0};
      tree.forEach(range -> sum[0] += range.value().start ^ range.value().nrBytes);
      return sum[0];
    }
  }

  /** The JDK's concurrent ordered map. */
  final class SkipList implements RangeIndex {
    private final ConcurrentSkipListMap<Long, Area> map = new ConcurrentSkipListMap<>();

    @Override
    public void insert(Area area) {
      map.put(area.start, area);
    }

    @Override
    public void remove(long start) {
      map.remove(start);
    }

    @Override
    public @Nullable Area find(long address) {
      return covering(map.floorEntry(address), address);
    }

    @Override
    public long walk() {
      return sum(map);
    }
  }

  /** A red-black tree under a lock that readers share. */
  final class LockedMap implements RangeIndex {
    private final TreeMap<Long, Area> map = new TreeMap<>();
    private final Lock reading;
    private final Lock writing;

    LockedMap(Lock reading, Lock writing) {
      this.reading = reading;
      this.writing = writing;
    }

    @Override
    public void insert(Area area) {
      writing.lock();
      try {
        map.put(area.start, area);
      } finally {
        writing.unlock();
      }
    }

    @Override
    public void remove(long start) {
      writing.lock();
      try {
        map.remove(start);
      } finally {
        writing.unlock();
      }
    }

    @Override
    public @Nullable Area find(long address) {
      reading.lock();
      try {
        return covering(map.floorEntry(address), address);
      } finally {
        reading.unlock();
      }
    }

    @Override
    public long walk() {
      reading.lock();
      try {
        return sum(map);
      } finally {
        reading.unlock();
      }
    }
  }

  /**
   * A red-black tree that one thread changes while others read it: what readers of Linux' trees
   * were not allowed to do, and why. A rotation, or an entry that takes another's place, hides what
   * is below from a reader that is inside. One that is led in a circle gives up: a miss. By blocks
   * of addresses, of which an area has one to itself, so that a lookup only descends.
   */
  final class UnlockedMap implements RangeIndex {
    /** More than any path from the root to a leaf. */
    private static final int MAX_STEPS = 1000;

    private static final class Circle extends RuntimeException {
      private static final long serialVersionUID = 1L;

      Circle() {
        super("led in a circle", null, false, false);
      }
    }

    /** What is sought, and how far the search is. */
    private static final class Key {
      private final long block;
      private int nrSteps;

      Key(long address) {
        block = address / TreeFork.STRIDE;
      }

      int compareWith(Key other) {
        if (nrSteps++ == MAX_STEPS) {
          throw new Circle();
        }
        return Long.compare(block, other.block);
      }
    }

    private final TreeMap<Key, Area> map = new TreeMap<>(Key::compareWith);

    @Override
    public void insert(Area area) {
      map.put(new Key(area.start), area);
    }

    @Override
    public void remove(long start) {
      map.remove(new Key(start));
    }

    @Override
    public @Nullable Area find(long address) {
      try {
        return map.get(new Key(address));
      } catch (Circle e) {
        return null;
      }
    }

    @Override
    public long walk() {
      throw new UnsupportedOperationException("a walk may not end");
    }
  }

  /**
   * A sorted array under a {@link StampedLock}, read optimistically. A red-black tree cannot be
   * read so: a reader inside a rotation may run in a circle. A binary search ends whatever it
   * reads, and what it found counts only if the stamp is still valid.
   */
  final class OptimisticArray implements RangeIndex {
    private static final int MAX_TRIES = 3;

    private final StampedLock lock = new StampedLock();
    private long[] starts = new long[16];
    private @Nullable Area[] areas = new @Nullable Area[16];
    private int size;

    /** Also right for arrays of different age: it stays inside both. */
    private static int floor(long[] starts, int size, long address) {
      int low = 0;
      int left = Math.min(size, starts.length);
      if (left == 0) {
        return -1;
      }
      while (left > 1) {
        int half = left >>> 1;
        low += starts[low + half] <= address ? half : 0;
        left -= half;
      }
      return starts[low] <= address ? low : -1;
    }

    private @Nullable Area search(long address) {
      long[] keys = starts;
      @Nullable Area[] values = areas;
      int index = floor(keys, size, address);
      Area area = index < 0 || index >= values.length ? null : values[index];
      return area != null && address - area.start < area.nrBytes ? area : null;
    }

    @Override
    public @Nullable Area find(long address) {
      for (int i = 0; i < MAX_TRIES; i++) {
        long stamp = lock.tryOptimisticRead();
        if (stamp != 0) {
          Area area = search(address);
          if (lock.validate(stamp)) {
            return area;
          }
        }
      }
      long stamp = lock.readLock();
      try {
        return search(address);
      } finally {
        lock.unlockRead(stamp);
      }
    }

    @Override
    public void insert(Area area) {
      long stamp = lock.writeLock();
      try {
        if (size == starts.length) {
          starts = Arrays.copyOf(starts, 2 * size);
          areas = Arrays.copyOf(areas, 2 * size);
        }
        int index = floor(starts, size, area.start) + 1;
        System.arraycopy(starts, index, starts, index + 1, size - index);
        System.arraycopy(areas, index, areas, index + 1, size - index);
        starts[index] = area.start;
        areas[index] = area;
        size++;
      } finally {
        lock.unlockWrite(stamp);
      }
    }

    @Override
    public void remove(long start) {
      long stamp = lock.writeLock();
      try {
        int index = floor(starts, size, start);
        if (index >= 0 && starts[index] == start) {
          size--;
          System.arraycopy(starts, index + 1, starts, index, size - index);
          System.arraycopy(areas, index + 1, areas, index, size - index);
          areas[size] = null;
        }
      } finally {
        lock.unlockWrite(stamp);
      }
    }

    @Override
    public long walk() {
      long stamp = lock.readLock();
      try {
        long sum = 0;
        for (int i = 0; i < size; i++) {
          Area area = areas[i];
          sum += area == null ? 0 : area.start ^ area.nrBytes;
        }
        return sum;
      } finally {
        lock.unlockRead(stamp);
      }
    }
  }
}
