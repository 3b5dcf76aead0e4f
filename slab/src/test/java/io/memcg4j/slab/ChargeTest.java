package io.memcg4j.slab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.percpu.CpuSlots;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.openjdk.jol.info.ClassLayout;

/** Usage after a drain is what live objects are charged, handle by handle, whatever happened. */
final class ChargeTest {
  @BeforeAll
  static void lookAtOwnProcessOnly() {
    System.setProperty("jol.skipHotspotSAAttach", "true"); // two seconds, and not needed here
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 8, 64, 100, 512, 3000, 8192, 8193, 100_000})
  void usage_liveObjects_isTheirChargeInPages(int size) {
    try (Instance instance = Instance.create()) {
      MemCgroup group = instance.root.create("p").create("a");
      List<Long> objects = new ArrayList<>();
      for (int nrObjects : new int[] {1, 2, 7, 64, 65, 130, 131}) {
        try (Scope _ = instance.enter(group)) {
          while (objects.size() < nrObjects) {
            objects.add(instance.kmalloc.allocate(size));
          }
        }
        long expected = Instance.roundToPages(nrObjects * Instance.chargeOf(size));
        assertEquals(expected, instance.drainedUsage(group), "nrObjects=" + nrObjects);
        assertEquals(expected, instance.root.usage());
      }
      Collections.shuffle(objects, new Random(size));
      while (!objects.isEmpty()) {
        instance.kmalloc.free(objects.removeLast());
        long expected = Instance.roundToPages(objects.size() * Instance.chargeOf(size));
        assertEquals(expected, instance.drainedUsage(group), "left=" + objects.size());
      }
      instance.assertNothingLeft();
    }
  }

  /** What an object costs covers the heap that its metadata takes. */
  @Test
  void charge_anyClass_coversItsShareOfTheSlab() {
    for (int i = 0; i < SizeClasses.COUNT; i++) {
      SlabGeometry geometry = SlabGeometry.of(i, SizeClasses.size(i));
      int share = geometry.chargeBytes() - geometry.objectSize();
      assertTrue(share > 0, () -> geometry.toString());
      long nrObjects = (long) geometry.nrWords() * geometry.objectsPerWord();
      Slab slab = new Slab(geometry, 0, geometry.nrChunks(), 0, false);
      // The geometry is the cache's, not the slab's.
      long heapBytes =
          ClassLayout.parseInstance(slab).instanceSize()
              + ClassLayout.parseInstance(slab.words).instanceSize()
              + geometry.nrWords() * ClassLayout.parseInstance(slab.words[0]).instanceSize();
      assertTrue(share * nrObjects >= heapBytes, () -> heapBytes + " bytes: " + geometry);
    }
  }

  @Test
  void freeElsewhere_anotherTenantsScope_ownerGetsItBack() throws Exception {
    try (Instance instance = Instance.create()) {
      ObjCgroup a = instance.handle("a");
      ObjCgroup b = instance.handle("b");
      List<Long> ofA = new ArrayList<>();
      List<Long> ofB = new ArrayList<>();
      try (Scope _ = a.enter()) {
        for (int i = 0; i < 500; i++) {
          ofA.add(instance.kmalloc.allocate(200));
        }
        ofA.add(instance.kmalloc.allocate(1 << 20));
      }
      try (Scope _ = b.enter()) {
        for (int i = 0; i < 300; i++) {
          ofB.add(instance.kmalloc.allocate(200));
        }
        ofA.subList(0, 250).forEach(instance.kmalloc::free); // same slot, another tenant's
      }
      long usageOfB = Instance.roundToPages(300 * Instance.chargeOf(200));
      assertEquals(
          Instance.roundToPages(250 * Instance.chargeOf(200)) + (1 << 20),
          instance.drainedUsage(a.group()));
      assertEquals(usageOfB, instance.drainedUsage(b.group()));
      Instance.elsewhere(() -> {
        try (Scope _ = b.enter()) {
          ofA.subList(250, 400).forEach(instance.kmalloc::free);
        }
        ofA.subList(400, 501).forEach(instance.kmalloc::free);
        return null;
      });
      assertEquals(0, instance.drainedUsage(a.group()));
      assertEquals(usageOfB, instance.drainedUsage(b.group()));
      Instance.elsewhere(() -> {
        ofB.forEach(instance.kmalloc::free);
        return null;
      });
      instance.assertNothingLeft();
    }
  }

  @Test
  void usage_groupRemoved_objectsAreTheParentsToTheLastByte() {
    try (Instance instance = Instance.create()) {
      MemCgroup parent = instance.root.create("p");
      MemCgroup child = parent.create("c");
      ObjCgroup ofParent = ObjCgroup.of(parent);
      ObjCgroup ofChild = ObjCgroup.of(child);
      List<Long> objects = new ArrayList<>();
      try (Scope _ = ofParent.enter()) {
        for (int i = 0; i < 100; i++) {
          objects.add(instance.kmalloc.allocate(100));
        }
      }
      try (Scope _ = ofChild.enter()) {
        for (int i = 0; i < 1000; i++) {
          objects.add(instance.kmalloc.allocate(100));
        }
        objects.add(instance.kmalloc.allocate(50_000));
      }
      long expected =
          Instance.roundToPages(100 * Instance.chargeOf(100))
              + Instance.roundToPages(1000 * Instance.chargeOf(100))
              + Instance.roundToPages(50_000);
      assertEquals(expected, instance.drainedUsage(parent));
      child.remove();
      assertEquals(parent, ofChild.group());
      assertEquals(expected, instance.drainedUsage(parent));
      parent.setMax(expected);
      Collections.shuffle(objects, new Random(1));
      objects.forEach(instance.kmalloc::free);
      assertEquals(0, instance.drainedUsage(parent));
      instance.assertNothingLeft();
      assertEquals(2, instance.registry().nrHandles());
    }
  }

  /** Removed while a scope is open and objects live on several slots, twice, then all is freed. */
  @Test
  void usage_twoRemovalsUnderOpenScopes_isExactAndEndsAtZero() throws Exception {
    try (Instance instance = Instance.of(CpuSlots.create(6, 2))) {
      MemCgroup top = instance.root.create("top");
      MemCgroup middle = top.create("middle");
      MemCgroup leaf = middle.create("leaf");
      ObjCgroup ofLeaf = ObjCgroup.of(leaf);
      ObjCgroup ofMiddle = ObjCgroup.of(middle);
      ObjCgroup ofTop = ObjCgroup.of(top);
      List<Long> objects = new ArrayList<>();
      long expected;
      try (Scope scope = ofLeaf.enter()) {
        Kmalloc.Bound bound = instance.kmalloc.bind(scope);
        for (int i = 0; i < 300; i++) {
          objects.add(bound.allocate(1 + i * 20));
        }
        Instance.elsewhere(() -> {
          try (Scope _ = ofMiddle.enter()) {
            for (int i = 0; i < 300; i++) {
              objects.add(instance.kmalloc.allocate(1 + i * 20));
            }
          }
          try (Scope _ = ofLeaf.enter()) {
            for (int i = 0; i < 300; i++) {
              objects.add(instance.kmalloc.allocate(1 + i * 20));
            }
          }
          return null;
        });
        leaf.remove();
        for (int i = 0; i < 300; i++) {
          objects.add(bound.allocate(1 + i * 20));
        }
        middle.remove();
        for (int i = 0; i < 300; i++) {
          objects.add(bound.allocate(1 + i * 20));
        }
        Instance.elsewhere(() -> {
          try (Scope _ = ofTop.enter()) {
            for (int i = 0; i < 300; i++) {
              objects.add(instance.kmalloc.allocate(1 + i * 20));
            }
          }
          return null;
        });
        long oneSeries = 0;
        for (int i = 0; i < 300; i++) {
          oneSeries += Instance.chargeOf(1 + i * 20);
        }
        expected = Instance.roundToPages(4 * oneSeries) + 2 * Instance.roundToPages(oneSeries);
      }
      assertEquals(expected, instance.drainedUsage(top));
      assertEquals(expected, instance.drainedUsage(instance.root));
      Collections.shuffle(objects, new Random(2));
      int half = objects.size() / 2;
      objects.subList(0, half).forEach(instance.kmalloc::free);
      Instance.elsewhere(() -> {
        try (Scope _ = ofTop.enter()) {
          objects.subList(half, objects.size()).forEach(instance.kmalloc::free);
        }
        return null;
      });
      instance.assertNothingLeft();
      assertEquals(0, top.usage());
      top.remove();
      assertEquals(1, instance.registry().nrHandles(), "handles kept by nothing");
    }
  }

  /** A removed group's object in each of many classes: what stocks and words hold finds its way. */
  @Test
  void usage_manyGroupsComeAndGo_endsAtZero() {
    try (Instance instance = Instance.create()) {
      MemCgroup parent = instance.root.create("p");
      List<Long> objects = new ArrayList<>();
      Random random = new Random(3);
      for (int g = 0; g < 300; g++) {
        MemCgroup group = parent.create("g" + g);
        try (Scope _ = instance.enter(group)) {
          for (int i = 0; i < 30; i++) {
            objects.add(instance.kmalloc.allocate(1 + random.nextInt(9000)));
          }
        }
        group.remove();
        Collections.shuffle(objects, random);
        for (int i = 0; i < 20; i++) {
          instance.kmalloc.free(objects.removeLast());
        }
      }
      objects.forEach(instance.kmalloc::free);
      instance.assertNothingLeft();
      assertEquals(1, instance.registry().nrHandles(), "handles kept by nothing");
    }
  }

  @Test
  void reallocate_byAnotherTenant_newMemoryIsChargedToTheCaller() {
    try (Instance instance = Instance.create()) {
      ObjCgroup a = instance.handle("a");
      ObjCgroup b = instance.handle("b");
      long address;
      try (Scope _ = a.enter()) {
        address = instance.kmalloc.allocate(100);
      }
      try (Scope _ = b.enter()) {
        assertEquals(address, instance.kmalloc.reallocate(address, 112));
        assertEquals(address, instance.kmalloc.reallocate(address, 1));
      }
      assertEquals(Instance.PAGE, instance.drainedUsage(a.group()));
      assertEquals(0, instance.drainedUsage(b.group()));
      try (Scope _ = b.enter()) {
        address = instance.kmalloc.reallocate(address, 10_000);
      }
      assertEquals(0, instance.drainedUsage(a.group()));
      assertEquals(3 * Instance.PAGE, instance.drainedUsage(b.group()));
      instance.kmalloc.free(address);
      instance.assertNothingLeft();
    }
  }
}
