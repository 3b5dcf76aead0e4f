package io.memcg4j.slab;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryClass;
import io.memcg4j.objcg.ObjCgroups;
import io.memcg4j.percpu.CpuSlots;
import io.memcg4j.testkit.Jcstress;
import org.junit.jupiter.api.Test;
import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.Expect;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.II_Result;
import org.openjdk.jcstress.infra.results.I_Result;

/** The one field that says what lives in a run: exactly one free, and no mixed versions. */
final class VmallocStress {
  @Test
  void free_twiceAtOnce_holds() {
    Jcstress.assertHolds(FreedOnce.class);
  }

  @Test
  void free_readThenWrite_breaks() {
    Jcstress.assertBreaks(ReadThenWrite.class);
  }

  @Test
  void find_besideReallocateAndFree_holds() {
    Jcstress.assertHolds(ResizedAndFreed.class);
  }

  /** An allocator of its own for each fork; its state is an area that is made for each trial. */
  abstract static class World {
    static final Vmalloc VMALLOC;

    static {
      MemCgroup root = MemCgroup.root(CpuSlots.create(1, 2));
      ObjCgroups registry = ObjCgroups.of(root);
      VMALLOC =
          new Vmalloc(
              new InertMapper(),
              1L << 40,
              new ScopeCharger(
                  registry,
                  true,
                  MemoryClass.VMALLOC,
                  new FaultInjection(() -> {}, Integer::toString)),
              () -> {});
      VMALLOC.recordCallers(false);
    }

    static int tryFree(long address) {
      try {
        VMALLOC.free(address);
        return 1;
      } catch (IllegalArgumentException e) {
        return 0;
      }
    }
  }

  /** Addresses without memory: these tests touch none. */
  static final class InertMapper implements Mapper {
    @Override
    public long reserve(long nrBytes) {
      return 1L << 41;
    }

    @Override
    public boolean commit(long address, long nrBytes) {
      return true;
    }

    @Override
    public void discard(long address, long nrBytes) {}

    @Override
    public void release(long address, long nrBytes) {}
  }

  /** Two threads free the same area. */
  @JCStressTest
  @Outcome(
      id = {"0, 1", "1, 0"},
      expect = Expect.ACCEPTABLE,
      desc = "one of them")
  @Outcome(expect = Expect.FORBIDDEN, desc = "both, or none")
  @State
  public static class FreedOnce extends World {
    private final long address = VMALLOC.allocate(1);

    @Actor
    public void first(II_Result r) {
      r.r1 = tryFree(address);
    }

    @Actor
    public void second(II_Result r) {
      r.r2 = tryFree(address);
    }
  }

  /** The twin looks whether there is an area, and then takes it away. */
  @JCStressTest
  @Outcome(
      id = {"0, 1", "1, 0"},
      expect = Expect.ACCEPTABLE,
      desc = "one of them")
  @Outcome(id = "1, 1", expect = Expect.ACCEPTABLE_INTERESTING, desc = "freed twice")
  @State
  public static class ReadThenWrite extends World {
    private volatile int live = 1;

    private int take() {
      int taken = live;
      live = 0;
      return taken;
    }

    @Actor
    public void first(II_Result r) {
      r.r1 = take();
    }

    @Actor
    public void second(II_Result r) {
      r.r2 = take();
    }
  }

  /** A lookup beside a shrink in place and a free: what is found is of one version. */
  @JCStressTest
  @Outcome(
      id = {"0", "1", "4"},
      expect = Expect.ACCEPTABLE,
      desc = "freed, shrunk, or as it was")
  @Outcome(expect = Expect.FORBIDDEN, desc = "mixed")
  @State
  public static class ResizedAndFreed extends World {
    private final long address = VMALLOC.allocate(4 * 4096);

    @Actor
    public void owner() {
      VMALLOC.reallocate(address, 4096);
      VMALLOC.free(address);
    }

    @Actor
    public void reader(I_Result r) {
      VmallocArea area = VMALLOC.find(address + 100);
      r.r1 =
          area == null
              ? 0
              : area.nrBytes() == area.chargedBytes() && area.start() == address
                  ? (int) area.nrPages()
                  : 99;
    }
  }
}
