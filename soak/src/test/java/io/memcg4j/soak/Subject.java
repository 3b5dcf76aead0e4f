package io.memcg4j.soak;

import io.memcg4j.leak.Kmemleak;
import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.OomHandler;
import io.memcg4j.objcg.ObjCgroups;
import io.memcg4j.slab.AccountedArena;
import io.memcg4j.slab.Kmalloc;
import io.memcg4j.slab.KmemCache;
import io.memcg4j.slab.VmallocArea;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** What is soaked: a tree, an allocator on it with all that it has, a scanner. */
final class Subject {
  static final long MAX_OF_ALL = 96L << 20;

  /**
   * An allocation that takes a group above high reclaims before it returns, with sleeping shrinkers
   * and a pause of up to 2 s: until then its address is in local variables only.
   */
  static final Duration MIN_AGE = Duration.ofSeconds(5);

  final MemCgroup root = MemCgroup.root();
  final ObjCgroups handles = ObjCgroups.of(root);
  final Kmalloc kmalloc = Kmalloc.create(root);
  final KmemCache typed = KmemCache.create(kmalloc, "soak-typed", 120);
  final KmemCache constructed =
      KmemCache.builder(kmalloc, "soak-constructed")
          .size(200)
          .constructor(address -> Kmalloc.MEMORY.set(ValueLayout.JAVA_LONG, address, 42))
          .build();
  final Kmemleak leaks = Kmemleak.builder(kmalloc).minAge(MIN_AGE).workers(2).build();
  final Gate gate = new Gate();
  final Tally tally = new Tally();

  /** What an object of a size class is charged. */
  private final Map<Long, Long> chargeBySize = new TreeMap<>();

  /** Under it all that the model knows of. */
  final Tenant tenants;

  Subject() {
    for (long size = 8; size <= Kmalloc.MAX_CACHE_SIZE; size = Kmalloc.roundUp(size + 1)) {
      try (KmemCache probe = KmemCache.create(kmalloc, "probe-" + size, (int) size)) {
        chargeBySize.put(size, (long) probe.chargeBytes());
      }
    }
    root.setOomHandler(OomHandler.KILL_LARGEST);
    tenants = Tenant.top(this, root.create("tenants"));
    tenants.group.setMax(MAX_OF_ALL);
  }

  long chargeOf(long nrBytes) {
    long size = Kmalloc.roundUp(nrBytes);
    if (size > Kmalloc.MAX_CACHE_SIZE) {
      return Tenant.ceilToPage(nrBytes);
    }
    Long charge = chargeBySize.get(size);
    if (charge == null) {
      throw new SoakViolation("unknown size class: nrBytes=" + nrBytes + " size=" + size);
    }
    return charge;
  }

  /** Inside a scope of the payer. Null if refused. */
  @Nullable Block allocate(Tenant payer, Kmalloc.@Nullable Bound bound, SplittableRandom random) {
    int choice = random.nextInt(100);
    if (choice < 4) {
      return area(payer, 16 + random.nextInt(random.nextInt(8) == 0 ? 3 << 20 : 60_000), random);
    }
    if (choice < 8) {
      return percpu(payer, 16 + random.nextInt(500), random);
    }
    if (choice < 16) {
      KmemCache cache = random.nextBoolean() ? typed : constructed;
      long object = cache.tryAllocate();
      return object == Kmalloc.NULL
          ? null
          : written(
              new Block(
                  BlockKind.TYPED,
                  payer,
                  object,
                  cache.objectSize(),
                  cache.chargeBytes(),
                  random.nextLong()));
    }
    if (choice < 17) {
      return arena(payer, random);
    }
    int most = choice < 19 ? 2 << 20 : choice < 30 ? 100_000 : 2000;
    // Nothing between: the tags at both ends would overlap.
    long nrBytes = random.nextInt(20) == 0 ? 8 : 16 + random.nextInt(random.nextInt(16, most));
    long address = bound == null ? kmalloc.tryAllocate(nrBytes) : bound.tryAllocate(nrBytes);
    if (address == Kmalloc.NULL) {
      return null;
    }
    return written(
        new Block(BlockKind.OBJECT, payer, address, nrBytes, chargeOf(nrBytes), random.nextLong()));
  }

  private @Nullable Block area(Tenant payer, long nrBytes, SplittableRandom random) {
    long address = kmalloc.vmalloc().tryAllocate(nrBytes);
    if (address == Kmalloc.NULL) {
      return null;
    }
    VmallocArea area = kmalloc.vmalloc().find(address + random.nextLong(nrBytes));
    if (area == null || area.start() != address) {
      throw new SoakViolation("area not found by an address in it: " + area);
    }
    return written(
        new Block(BlockKind.AREA, payer, address, nrBytes, area.chargedBytes(), random.nextLong()));
  }

  private @Nullable Block percpu(Tenant payer, int nrBytes, SplittableRandom random) {
    long handle = kmalloc.percpu().tryAllocate(nrBytes);
    if (handle == Kmalloc.NULL) {
      return null;
    }
    long chargeBytes = kmalloc.percpu().chargeBytes(nrBytes);
    return written(
        new Block(BlockKind.PERCPU, payer, handle, nrBytes, chargeBytes, random.nextLong()));
  }

  private @Nullable Block arena(Tenant payer, SplittableRandom random) {
    AccountedArena arena = AccountedArena.ofShared(kmalloc);
    List<MemorySegment> segments = new ArrayList<>();
    try {
      for (int i = random.nextInt(8); i >= 0; i--) {
        segments.add(arena.allocate(16 + random.nextInt(6000), 8));
      }
    } catch (io.memcg4j.memcg.MemoryLimitException e) {
      arena.close();
      return null;
    }
    MemorySegment first = segments.getFirst();
    return written(
        new Block(
            BlockKind.ARENA,
            payer,
            first.address(),
            first.byteSize(),
            arena.heldBytes(),
            random.nextLong(),
            arena,
            List.copyOf(segments)));
  }

  private static Block written(Block block) {
    block.write();
    return block;
  }

  /** By any thread, in any scope. */
  void free(Block block, boolean isDeferred) {
    block.check();
    switch (block.kind()) {
      case OBJECT -> kmalloc.free(block.address());
      case AREA -> kmalloc.vmalloc().free(block.address());
      case PERCPU -> kmalloc.percpu().free(block.address());
      case TYPED -> {
        KmemCache cache = block.nrBytes() == typed.objectSize() ? typed : constructed;
        if (isDeferred) {
          cache.freeDeferred(block.address());
        } else {
          cache.free(block.address());
        }
      }
      case ARENA -> {
        if (block.arena() != null) {
          block.arena().close();
        }
      }
    }
  }
}
