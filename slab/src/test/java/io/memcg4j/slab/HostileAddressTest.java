package io.memcg4j.slab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.percpu.PercpuAllocator;
import io.memcg4j.testkit.Proof;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/**
 * Every method that takes an address, with addresses that it must refuse: random, freed, inside an
 * object, of another allocator, of the C library. Beside a model of what is alive, whose contents
 * and charges must stay. 600 000 tries, 10^8 with {@code -Pproof}; or as many as {@code
 * -Dmemcg4j.hostile.addresses} says.
 */
final class HostileAddressTest {
  private static final int NR_TRIES = 600_000;
  private static final int NR_TRIES_OF_PROOF = 100_000_000;
  private static final int TRIES_PER_ROUND = 2_000;
  private static final int ROUNDS_PER_AUDIT = 20;
  private static final int MAX_LIVE = 300;
  private static final int NR_STALE = 512;
  private static final int CACHE_OBJECT_SIZE = 200;

  private enum Kind {
    OBJECT,
    CACHED,
    AREA,
    PERCPU
  }

  private record Block(
      Kind kind, long address, long usableBytes, long chargeBytes, ObjCgroup payer) {
    boolean contains(long other) {
      return other - address >= 0 && other - address < usableBytes;
    }
  }

  /** A method that takes an address, and what it takes as good. */
  private interface Attack {
    void with(long address);
  }

  private final long seed = Long.getLong("memcg4j.hostile.seed", System.nanoTime());
  private final SplittableRandom random = new SplittableRandom(seed);
  private final Instance instance = Instance.create();
  private final Kmalloc kmalloc = instance.kmalloc;
  private final KmemCache cache = KmemCache.create(kmalloc, "hostile", CACHE_OBJECT_SIZE);
  private final KmemCache other = KmemCache.create(kmalloc, "other", CACHE_OBJECT_SIZE);
  private final Vmalloc vmalloc = kmalloc.vmalloc();
  private final PercpuAllocator percpu = kmalloc.percpu();
  private final ObjCgroup a = instance.handle("a");
  private final ObjCgroup b = instance.handle("b");

  private final List<Block> live = new ArrayList<>();
  private final Map<Long, Block> byAddress = new HashMap<>();
  private final TreeMap<Long, Block> areas = new TreeMap<>();
  private final long[] stale = new long[NR_STALE];
  private int nrStale;
  private long foreign;
  private long nrTried;
  private long nrRefused;

  @Test
  void addressesThatAreNone_areRefusedAndChangeNothing() throws Exception {
    Proof proof = Proof.begin(getClass(), "hostile addresses");
    boolean isLong = !System.getProperty("memcg4j.jcstress", "short").equals("short");
    long nrTries = Long.getLong("memcg4j.hostile.addresses", isLong ? NR_TRIES_OF_PROOF : NR_TRIES);
    try (Arena arena = Arena.ofConfined()) {
      foreign = arena.allocate(1 << 16).address();
      for (int round = 0; nrTried < nrTries; round++) {
        round(round);
        if (round % ROUNDS_PER_AUDIT == 0) {
          audit();
        }
      }
      while (!live.isEmpty()) {
        free(live.getLast());
      }
      audit();
    } catch (RuntimeException | Error e) {
      throw new AssertionError(where("failed"), e);
    }
    kmalloc.readers().synchronize();
    cache.close();
    other.close();
    percpu.shrink();
    vmalloc.shrink();
    instance.assertNoAreasLeft();
    instance.close();
    assertTrue(nrRefused > nrTries / 2, where("hardly anything was refused: " + nrRefused));
    proof.holds(nrTried, "refused " + nrRefused);
  }

  private String where(String what) {
    return what + ": seed=" + seed + " tried=" + nrTried + " live=" + live.size();
  }

  /** Some of everything from one place, the allocator in use meanwhile. */
  private void round(int round) throws Exception {
    switch (round % 5) {
      case 0 -> inScope(a);
      case 1 -> {
        try (Scope _ = a.enter()) {
          inScope(b);
        }
      }
      case 2 -> tries(null, a);
      case 3 ->
          Instance.elsewhere(() -> {
            inScope(b);
            return null;
          });
      default -> {
        try (Scope _ = a.enter()) { // the slot that much of it lies on is busy
          Instance.elsewhere(() -> {
            tries(null, b);
            return null;
          });
        }
      }
    }
  }

  private void inScope(ObjCgroup payer) {
    try (Scope scope = payer.enter()) {
      tries(scope, payer);
    }
  }

  /** Outside a scope nothing is allocated: root would pay. */
  private void tries(@Nullable Scope scope, ObjCgroup payer) {
    List<Attack> ofObjects = ofObjects(scope);
    List<Attack> ofCached = ofCached(scope);
    List<Attack> ofAreas = ofAreas();
    List<Attack> ofPercpu = ofPercpu();
    for (int i = 0; i < TRIES_PER_ROUND; i++) {
      if (random.nextInt(8) == 0) {
        churn(scope, payer);
      }
      long address = address();
      Block block = byAddress.get(address);
      Kind kind = block == null ? null : block.kind;
      switch (random.nextInt(6)) {
        case 0, 1 -> {
          if (kind != Kind.OBJECT && kind != Kind.CACHED && address != 0 && address != 16) {
            attack(ofObjects, address);
          }
        }
        case 2 -> {
          if (kind != Kind.CACHED && address != 0) {
            attack(ofCached, address);
          }
        }
        case 3 -> {
          if (kind != Kind.AREA && address != 0) {
            attack(ofAreas, address);
          }
        }
        case 4 -> {
          if (kind != Kind.PERCPU && address != PercpuAllocator.NULL) {
            attack(ofPercpu, address);
          }
        }
        default -> look(address);
      }
    }
  }

  private void attack(List<Attack> attacks, long address) {
    nrTried++;
    int which = random.nextInt(attacks.size());
    try {
      attacks.get(which).with(address);
    } catch (IllegalArgumentException e) {
      nrRefused++;
      String message = String.valueOf(e.getMessage());
      if (!message.contains("=0x" + Long.toHexString(address)) && !message.contains("segment")) {
        throw new AssertionError("no address in the message: " + message, e);
      }
      return;
    }
    throw new AssertionError(
        where("not refused: which=" + which + " address=0x" + Long.toHexString(address)));
  }

  private List<Attack> ofObjects(@Nullable Scope scope) {
    List<Attack> attacks =
        new ArrayList<>(
            List.of(
                kmalloc::free,
                kmalloc::freeDeferred,
                kmalloc::usableSize,
                address -> kmalloc.free(MemorySegment.ofAddress(address)),
                address -> kmalloc.reallocate(address, 1 + random.nextInt(20_000)),
                address -> kmalloc.tryReallocate(address, random.nextInt(100))));
    if (scope != null) {
      Kmalloc.Bound bound = kmalloc.bind(scope);
      attacks.add(bound::free);
      attacks.add(address -> bound.reallocate(address, 64));
    }
    return attacks;
  }

  private List<Attack> ofCached(@Nullable Scope scope) {
    List<Attack> attacks =
        new ArrayList<>(
            List.of(
                cache::free,
                cache::freeDeferred,
                address -> cache.freeBulk(new long[] {0, address}, 0, 2)));
    if (scope != null) {
      attacks.add(cache.bind(scope)::free);
    }
    return attacks;
  }

  private List<Attack> ofAreas() {
    return List.of(
        vmalloc::free,
        vmalloc::usableSize,
        address -> vmalloc.free(MemorySegment.ofAddress(address)),
        address -> vmalloc.reallocate(address, 1 + random.nextInt(20_000)));
  }

  private List<Attack> ofPercpu() {
    return List.of(percpu::free, percpu::size);
  }

  /** What takes any address and says what is there. */
  private void look(long address) {
    nrTried++;
    LiveBlock found = kmalloc.tracking().find(address);
    kmalloc.tracking().ageMillis(address);
    kmalloc.tracking().callSite(address);
    if (found != null && found.address() > address) {
      throw new AssertionError(where("found=" + found));
    }
    VmallocArea area = vmalloc.find(address);
    Map.Entry<Long, Block> below = areas.floorEntry(address);
    boolean isInside = below != null && below.getValue().contains(address);
    if (isInside != (area != null)) {
      throw new AssertionError(where("address=0x" + Long.toHexString(address) + " area=" + area));
    }
  }

  /** An address as attackers, and programs with a bug, have them. */
  private long address() {
    SlabRange range = instance.allocator().range();
    return switch (random.nextInt(12)) {
      case 0 -> random.nextLong();
      case 1 -> random.nextInt(-64, 4096);
      case 2 -> anAddress() ^ 1L << random.nextInt(64); // a bit was flipped
      case 3 -> foreign + random.nextInt(1 << 16); // of the C library
      case 4 -> range.base() + random.nextLong(-4096, range.rangeBytes() + 4096);
      // In the first slabs, which are in use.
      case 5 -> range.base() + (random.nextLong(8 << 20) & -(1L << random.nextInt(13)));
      case 6, 7 -> nrStale == 0 ? 1 : stale[random.nextInt(Math.min(nrStale, NR_STALE))];
      case 8 -> anAddress();
      case 9 -> anAddress() + random.nextInt(-65_536, 65_536);
      case 10 -> Long.MIN_VALUE | anAddress();
      default -> anInterior();
    };
  }

  private long anInterior() {
    Block block = aBlock();
    return block == null ? 2 : block.address + 1 + random.nextLong(block.usableBytes);
  }

  private @Nullable Block aBlock() {
    return live.isEmpty() ? null : live.get(random.nextInt(live.size()));
  }

  private long anAddress() {
    Block block = aBlock();
    return block == null ? foreign : block.address;
  }

  private void churn(@Nullable Scope scope, ObjCgroup payer) {
    Block block = aBlock();
    if (block != null && (live.size() > random.nextInt(MAX_LIVE) || scope == null)) {
      check(block);
      free(block);
    } else if (scope != null) {
      add(payer);
    }
  }

  private void add(ObjCgroup payer) {
    Block block =
        switch (random.nextInt(8)) {
          case 0, 1 -> {
            long address = cache.allocate();
            yield new Block(Kind.CACHED, address, CACHE_OBJECT_SIZE, cache.chargeBytes(), payer);
          }
          case 2 -> {
            long address = vmalloc.allocate(1 + random.nextInt(50_000));
            long usable = vmalloc.usableSize(address);
            yield new Block(Kind.AREA, address, usable, usable, payer);
          }
          case 3 -> {
            int nrBytes = 8 << random.nextInt(6);
            long handle = percpu.allocate(nrBytes, 8);
            yield new Block(Kind.PERCPU, handle, nrBytes, percpu.chargeBytes(nrBytes), payer);
          }
          default -> {
            long nrBytes = 8L + random.nextInt(random.nextInt(10) == 0 ? 40_000 : 2_000);
            long address = kmalloc.allocate(nrBytes);
            yield new Block(
                Kind.OBJECT,
                address,
                kmalloc.usableSize(address),
                Instance.chargeOf(nrBytes),
                payer);
          }
        };
    live.add(block);
    if (byAddress.put(block.address, block) != null) {
      throw new AssertionError(where("handed out twice: " + block));
    }
    if (block.kind == Kind.AREA) {
      areas.put(block.address, block);
    }
    Instance.writeLong(block.address, 0, block.address);
    Instance.writeLong(block.address, block.usableBytes - 8, ~block.address);
    if (block.usableBytes == 8) {
      Instance.writeLong(block.address, 0, block.address);
    }
  }

  private void check(Block block) {
    long first = Instance.readLong(block.address, 0);
    long last = Instance.readLong(block.address, block.usableBytes - 8);
    long expected = block.usableBytes == 8 ? block.address : ~block.address;
    if (first != block.address || last != expected) {
      throw new AssertionError(where("contents lost: " + block));
    }
  }

  private void free(Block block) {
    int index = live.indexOf(block);
    live.set(index, live.getLast());
    live.removeLast();
    byAddress.remove(block.address);
    areas.remove(block.address);
    switch (block.kind) {
      case OBJECT -> {
        if (random.nextInt(10) == 0) {
          kmalloc.freeDeferred(block.address);
        } else {
          kmalloc.free(block.address);
        }
      }
      case CACHED -> cache.free(block.address);
      case AREA -> vmalloc.free(block.address);
      case PERCPU -> percpu.free(block.address);
    }
    stale[nrStale++ % NR_STALE] = block.address;
  }

  /** Everything alive is as it was, and each group is charged for just that. */
  private void audit() {
    live.forEach(this::check);
    kmalloc.readers().synchronize();
    kmalloc.shrink();
    for (ObjCgroup handle : List.of(a, b)) {
      long charge = 0;
      for (Block block : live) {
        charge += block.payer == handle ? block.chargeBytes : 0;
      }
      assertEquals(
          Instance.roundToPages(charge), instance.drainedUsage(handle.group()), where("charges"));
    }
    assertEquals(0, kmalloc.info().nrBadFrees(), where("bad frees that were found late"));
  }
}
