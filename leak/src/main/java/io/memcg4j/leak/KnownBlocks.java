package io.memcg4j.leak;

import io.memcg4j.leak.Attributes.Colour;
import io.memcg4j.leak.SaidOfBlocks.Identity;
import io.memcg4j.slab.LiveBlock;
import io.memcg4j.slab.ObjectTracking;
import java.lang.System.Logger.Level;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.LongPredicate;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/** What the application has registered, and what it has said of blocks. Thread-safe. */
final class KnownBlocks {
  /*
   * Locks      lock, for all fields; below it only that of the allocator's range, by isWatched.
   * Not        that a block is still there when something is said of it: the next scan looks again.
   * guaranteed
   */
  private static final System.Logger LOGGER = System.getLogger(Kmemleak.class.getName());

  private final ObjectTracking tracking;
  private final ReentrantLock lock = new ReentrantLock();
  private final IdTable<String> names = new IdTable<>();
  private SaidOfBlocks said = new SaidOfBlocks();
  private RangeMap ranges = RangeMap.EMPTY;
  private IdTable<Boolean> transients = new IdTable<>();
  private final AtomicLong nrWarnings = new AtomicLong();

  KnownBlocks(ObjectTracking tracking) {
    this.tracking = tracking;
  }

  void add(long address, long nrBytes, String name, int minCount) {
    if (address <= 0 || nrBytes <= 0 || address + nrBytes < address) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT, "bad range: address=0x%x nrBytes=%d legal=1..", address, nrBytes));
    }
    if (tracking.overlaps(address, nrBytes)) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "range overlaps with memory of the allocator: address=0x%x nrBytes=%d",
              address,
              nrBytes));
    }
    lock.lock();
    try {
      int other = ranges.findOverlap(address, address + nrBytes);
      if (other >= 0) {
        throw new IllegalArgumentException(
            String.format(
                Locale.ROOT,
                "range overlaps: address=0x%x nrBytes=%d otherAddress=0x%x otherBytes=%d",
                address,
                nrBytes,
                ranges.start(other),
                ranges.end(other) - ranges.start(other)));
      }
      ranges = ranges.with(address, address + nrBytes, minCount, tracking.epoch());
      names.put(address, name);
    } finally {
      lock.unlock();
    }
  }

  boolean remove(long address) {
    lock.lock();
    try {
      int range = ranges.find(address);
      if (range < 0 || ranges.start(range) != address) {
        return false;
      }
      ranges = ranges.without(range);
      names.remove(address);
      said.forget(address);
      transients.remove(address);
      return true;
    } finally {
      lock.unlock();
    }
  }

  RangeMap ranges() {
    lock.lock();
    try {
      return ranges;
    } finally {
      lock.unlock();
    }
  }

  String nameOf(long address) {
    lock.lock();
    try {
      String name = names.get(address);
      return name == null ? "?" : name;
    } finally {
      lock.unlock();
    }
  }

  /** The block of an address, registered or the allocator's; null if there is none. */
  @Nullable LiveBlock find(long address) {
    RangeMap known = ranges();
    int range = known.find(address);
    if (range >= 0) {
      long start = known.start(range);
      return new LiveBlock(
          start, known.end(range) - start, 1, 0, nameOf(start), null, 0, "", 0, "", null);
    }
    if (!tracking.pin()) {
      return null;
    }
    try {
      LiveBlock found = tracking.find(address);
      return found != null ? found : findOutside(address);
    } finally {
      tracking.unpin();
    }
  }

  private @Nullable LiveBlock findOutside(long address) {
    List<LiveBlock> found = new ArrayList<>(1);
    tracking.forEachOutside(block -> {
      if (Long.compareUnsigned(address - block.address(), block.nrBytes()) < 0) {
        found.add(block);
      }
    });
    return found.isEmpty() ? null : found.getFirst();
  }

  /** Changes what is said of the block that begins at an address. */
  void change(String what, long address, UnaryOperator<Attributes> by) {
    LiveBlock block = findExact(what, address);
    if (block != null) {
      change(block, by);
    }
  }

  /** Changes what is said of the block that an address lies in. */
  void changeAround(String what, long address, UnaryOperator<Attributes> by) {
    LiveBlock block = find(address);
    if (block != null) {
      change(block, by);
    } else if (address != 0) {
      warn(what + " of an unknown object", address);
    }
  }

  private void change(LiveBlock block, UnaryOperator<Attributes> by) {
    long address = block.address();
    boolean isWatched = watch(block);
    Identity identity = new Identity(isWatched, block.identity(), tracking.epoch());
    lock.lock();
    try {
      said.change(address, identity, by);
    } finally {
      lock.unlock();
    }
  }

  /** Forgets what was said of a block that was there before, and watches this one. */
  private boolean watch(LiveBlock block) {
    long address = block.address();
    boolean wasWatched = tracking.isWatched(address);
    lock.lock();
    try {
      Identity before = said.identityOf(address);
      if (before != null
          && ((before.isWatched() && !wasWatched) || before.object() != block.identity())) {
        said.forget(address);
      }
    } finally {
      lock.unlock();
    }
    return wasWatched || tracking.watch(address);
  }

  void addArea(long address, long offset, long nrBytes) {
    LiveBlock block = find(address);
    if (block != null) {
      long from = address - block.address() + offset;
      long rest = block.nrBytes() - from;
      if (rest <= 0 || (nrBytes > rest && nrBytes != Long.MAX_VALUE)) {
        warn("scan area larger than object", address);
        return;
      }
      Attributes.Area area = new Attributes.Area(from, Math.min(rest, nrBytes));
      change(block, known -> known.with(area));
    } else if (address != 0) {
      warn("scanArea of an unknown object", address);
    }
  }

  void addTransient(long address) {
    if (findExact("transientLeak", address) != null) {
      lock.lock();
      try {
        transients.put(address, Boolean.TRUE);
      } finally {
        lock.unlock();
      }
    }
  }

  /** The block that begins at an address; null, and a warning, if none does. */
  private @Nullable LiveBlock findExact(String what, long address) {
    LiveBlock block = find(address);
    if (block != null && block.address() == address) {
      return block;
    }
    if (address != 0) {
      warn(what + (block == null ? " of an unknown object" : " by an interior address"), address);
    }
    return null;
  }

  void warn(String what, long address) {
    nrWarnings.getAndIncrement();
    LOGGER.log(
        Level.WARNING,
        String.format(Locale.ROOT, "%s: address=0x%x", what, address),
        new IllegalArgumentException(what));
  }

  long nrWarnings() {
    return nrWarnings.get();
  }

  /**
   * Makes blocks gray that are still there.
   *
   * @param look tells after the call of which address that is so
   */
  void gray(List<LeakSuspect> suspects, Supplier<LongPredicate> look) {
    List<LiveBlock> blocks = new ArrayList<>();
    for (LeakSuspect suspect : suspects) {
      LiveBlock block = find(suspect.address());
      // Watched before the look: what takes its place later does not inherit the colour.
      if (block != null && block.address() == suspect.address()) {
        var _ = watch(block);
        blocks.add(block);
      }
    }
    LongPredicate isThere = look.get();
    for (LiveBlock block : blocks) {
      if (isThere.test(block.address())) {
        change(block, known -> known.as(Colour.GRAY));
      }
    }
  }

  /** Adds the wishes for one scan to what is remembered. */
  void takeTransients(IdTable<Suspect> remembered) {
    long now = System.nanoTime();
    lock.lock();
    try {
      transients.forEach((address, wish) -> {
        Suspect known = remembered.get(address);
        remembered.put(address, known == null ? Suspect.unknown(now) : known.withoutChecksum());
      });
      transients = new IdTable<>();
    } finally {
      lock.unlock();
    }
  }

  /** What is said now of blocks that are still there; what was said of others is forgotten. */
  SaidOfBlocks said(HeapMap map, RangeMap all) {
    int epoch = tracking.epoch();
    lock.lock();
    try {
      said = said.stillTrue(map, all, tracking::isWatched, epoch);
      return said.stillTrue(map, all, tracking::isWatched, epoch);
    } finally {
      lock.unlock();
    }
  }

  boolean hasSaid() {
    lock.lock();
    try {
      return !said.isEmpty();
    } finally {
      lock.unlock();
    }
  }

  /** What was said of a block; null if nothing was. */
  @Nullable Attributes said(long address) {
    lock.lock();
    try {
      Identity identity = said.identityOf(address);
      return identity != null && identity.isWatched() && !tracking.isWatched(address)
          ? null
          : said.of(address);
    } finally {
      lock.unlock();
    }
  }

  /** References that make the block of an address gray. */
  int minCount(long address) {
    Attributes known = said(address);
    if (known != null && known.colour != Colour.WHITE) {
      return known.colour == Colour.GRAY ? 0 : -1;
    }
    RangeMap registered = ranges();
    int range = registered.find(address);
    return range >= 0 ? registered.minCount(range) : 1;
  }

  /** Of blocks that the last scan found those that are still allocated. The allocator is pinned. */
  List<LeakSuspect> stillThere(List<LeakSuspect> suspects) {
    HeapMap map = HeapMap.of(tracking.snapshot());
    // Complemented: an address in a collection would be a reference to the block.
    Set<Long> others = new HashSet<>();
    tracking.forEachOutside(block -> others.add(~block.address()));
    RangeMap registered = ranges();
    return suspects.stream()
        .filter(suspect -> {
          int range = registered.find(suspect.address());
          return map.isOld(suspect.address())
              || others.contains(~suspect.address())
              || (range >= 0 && registered.start(range) == suspect.address());
        })
        .toList();
  }
}
