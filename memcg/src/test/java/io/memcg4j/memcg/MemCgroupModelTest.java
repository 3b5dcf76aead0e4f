package io.memcg4j.memcg;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.percpu.CpuSlot;
import io.memcg4j.percpu.CpuSlots;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** One thread, many slots: every answer is compared with a tree that only adds and subtracts. */
class MemCgroupModelTest {
  private static final int NR_STEPS = 60_000;
  private static final int MAX_GROUPS = 40;
  private static final int MAX_DEPTH = 6;

  private record Charge(ReferenceTree.Node node, long nrPages) {}

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 20261121, -77})
  void randomOperations_oneThread_agreeWithTheReference(long seed) {
    Run run = new Run(seed);
    for (run.step = 0; run.step < NR_STEPS; run.step++) {
      run.oneStep();
    }
    run.freeEverything();
  }

  private static final class Run {
    final long seed;
    final Random random;
    final MemCgroup root = MemCgroup.root(CpuSlots.create(3, 2));
    final ReferenceTree reference = new ReferenceTree(root);
    final List<Charge> charges = new ArrayList<>();
    int nrNames;
    int step;

    Run(long seed) {
      this.seed = seed;
      this.random = new Random(seed);
    }

    void oneStep() {
      ReferenceTree.Node node = reference.online.get(random.nextInt(reference.online.size()));
      int dice = random.nextInt(100);
      if (dice < 45) {
        charge(node, 1 + random.nextInt(random.nextInt(10) == 0 ? 3000 : 40));
      } else if (dice < 80) {
        uncharge();
      } else if (dice < 83) {
        forceCharge(node, 1 + random.nextInt(50));
      } else if (dice < 89) {
        setMax(node);
      } else if (dice < 93) {
        node.group.drain();
        check(node);
      } else if (dice < 97) {
        create(node);
      } else {
        remove(node);
      }
      if (step % 500 == 0) {
        checkAll();
      }
    }

    void charge(ReferenceTree.Node node, long nrPages) {
      ReferenceTree.Node expected = node.refusing(nrPages);
      MemCgroup refusedBy;
      if (random.nextInt(4) == 0) {
        root.drain(); // the straight form does not seek what is parked
        refusedBy = node.group.tryChargeNow(nrPages);
      } else {
        CpuSlot slot = claim();
        refusedBy = node.group.charge(slot, nrPages);
        slot.release();
        if (expected != null) {
          expected.countMaxEvent();
        }
      }
      assertSame(expected == null ? null : expected.group, refusedBy, this::where);
      if (expected == null) {
        node.charge(nrPages);
        charges.add(new Charge(node, nrPages));
      }
    }

    void forceCharge(ReferenceTree.Node node, long nrPages) {
      node.group.forceCharge(nrPages);
      node.charge(nrPages);
      charges.add(new Charge(node, nrPages));
      boolean counted = false;
      boolean mustCount = false;
      for (ReferenceTree.Node n = node; n != null && !counted; n = n.parent) {
        mustCount |= n.usage > n.max;
        counted = n.group.events().max() > n.maxEvents;
        if (counted) { // parked pages may put a level over its max that the reference sees below
          n.countMaxEvent();
        }
      }
      assertTrue(counted || !mustCount, this::where);
    }

    void uncharge() {
      if (charges.isEmpty()) {
        return;
      }
      Charge charge = charges.remove(random.nextInt(charges.size()));
      long nrPages = charge.nrPages;
      // What was charged to a removed group is given back from its nearest live ancestor up.
      ReferenceTree.Node owner = charge.node.nearestOnline();
      if (nrPages > 1 && random.nextBoolean()) {
        nrPages = random.nextLong(1, nrPages);
        charges.add(new Charge(charge.node, charge.nrPages - nrPages));
      }
      if (random.nextInt(3) == 0) {
        owner.group.unchargeNow(nrPages);
      } else {
        CpuSlot slot = claim();
        if (random.nextBoolean()) {
          owner.group.uncharge(slot, nrPages);
        } else {
          owner.group.leave(slot, nrPages);
        }
        slot.release();
      }
      owner.uncharge(nrPages);
    }

    void setMax(ReferenceTree.Node node) {
      long nrPages =
          switch (random.nextInt(4)) {
            case 0 -> Long.MAX_VALUE / MemCgroup.PAGE_SIZE;
            case 1 -> node.usage;
            case 2 -> random.nextInt(100_000);
            default -> node.usage + random.nextInt(200);
          };
      node.group.setMax(nrPages * MemCgroup.PAGE_SIZE + random.nextInt(MemCgroup.PAGE_SIZE));
      node.max = nrPages == Long.MAX_VALUE / MemCgroup.PAGE_SIZE ? Long.MAX_VALUE : nrPages;
      assertEquals(
          node.max == Long.MAX_VALUE ? MemCgroup.UNLIMITED : nrPages * MemCgroup.PAGE_SIZE,
          node.group.max(),
          this::where);
    }

    void create(ReferenceTree.Node parent) {
      int depth = 0;
      for (ReferenceTree.Node n = parent; n.parent != null; n = n.parent) {
        depth++;
      }
      if (reference.online.size() < MAX_GROUPS && depth < MAX_DEPTH) {
        reference.create(parent, "g" + nrNames++);
      }
    }

    void remove(ReferenceTree.Node node) {
      if (node.parent == null || !node.children.isEmpty()) {
        assertThrows(IllegalStateException.class, node.group::remove, this::where);
      } else {
        node.group.remove();
        reference.remove(node);
      }
    }

    void freeEverything() {
      while (!charges.isEmpty()) {
        uncharge();
      }
      checkAll();
      assertEquals(0, root.usage(), this::where);
      assertEquals(0, root.tree().nrStockPages(), this::where);
    }

    void checkAll() {
      for (ReferenceTree.Node node : reference.online) {
        long overread = node.group.usage() - node.usage * MemCgroup.PAGE_SIZE;
        assertTrue(overread >= 0 && overread <= node.group.stockBoundBytes(), this::where);
      }
      root.drain();
      assertEquals(0, root.tree().nrStockPages(), this::where);
      reference.online.forEach(this::check);
    }

    void check(ReferenceTree.Node node) {
      assertEquals(node.usage, pages(node.group.usage()), () -> where() + " " + node.group);
      assertEquals(node.maxEvents, node.group.events().max(), () -> where() + " " + node.group);
      assertTrue(pages(node.group.peak()) >= node.peak, () -> where() + " " + node.group);
      assertEquals(0, node.group.counter().pending(), this::where);
      ReferenceTree.@Nullable Node parent = node.parent;
      if (parent != null) {
        assertSame(node.group, parent.group.find(node.group.name()), this::where);
      }
    }

    CpuSlot claim() {
      CpuSlot slot = root.slots().tryClaim(random.nextInt(root.slots().nrScopeSlots()));
      return slot == null || random.nextInt(5) == 0 ? exchange(slot) : slot;
    }

    private CpuSlot exchange(@Nullable CpuSlot slot) {
      if (slot != null) {
        slot.release();
      }
      return root.slots().claimShared();
    }

    static long pages(long nrBytes) {
      assertEquals(0, nrBytes % MemCgroup.PAGE_SIZE);
      return nrBytes / MemCgroup.PAGE_SIZE;
    }

    String where() {
      return "seed=" + seed + " step=" + step;
    }
  }
}
