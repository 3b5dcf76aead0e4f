package io.memcg4j.slab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** One thread: what the tree holds, beside a {@link TreeMap}. */
final class AddressTreeTest {
  @Test
  void find_insideABoundary_findsTheRange() {
    AddressTree<String> tree = new AddressTree<>();
    assertNull(tree.find(0));
    tree.insert(0x1000, 0x1000, "a");
    tree.insert(0x3000, 1, "b");
    assertNull(tree.find(0xfff));
    assertEquals("a", tree.find(0x1000));
    assertEquals("a", tree.find(0x1fff));
    assertNull(tree.find(0x2000));
    assertEquals("b", tree.find(0x3000));
    assertNull(tree.find(0x3001));
    assertNull(tree.find(-1));
    assertNull(tree.find(Long.MIN_VALUE));
    assertNull(tree.find(Long.MAX_VALUE));
    assertEquals(new AddressTree.Range<>(0x1000, 0x1000, "a"), tree.findRange(0x1800));
    assertEquals(2, tree.size());
    assertNull(tree.remove(0x1001), "interior");
    assertNotNull(tree.remove(0x1000));
    assertNull(tree.find(0x1000));
    assertNull(tree.remove(0x1000));
    assertEquals(1, tree.size());
  }

  @Test
  void insert_overlapping_isRefusedNamingBoth() {
    AddressTree<String> tree = new AddressTree<>();
    tree.insert(0x2000, 0x1000, "a");
    long[][] overlapping = {
      {0x2000, 0x1000}, {0x1000, 0x1001}, {0x2fff, 1}, {0x2800, 0x100}, {0, 0x10000}, {0x2000, 1}
    };
    for (long[] range : overlapping) {
      IllegalArgumentException e =
          assertThrows(IllegalArgumentException.class, () -> tree.insert(range[0], range[1], "b"));
      assertEquals(
          "range overlaps another: start=0x"
              + Long.toHexString(range[0])
              + " nrBytes="
              + range[1]
              + " otherStart=0x2000 otherBytes=4096",
          e.getMessage());
    }
    tree.insert(0x1000, 0x1000, "before");
    tree.insert(0x3000, 0x1000, "behind");
    assertThrows(IllegalArgumentException.class, () -> tree.replace(0x2000, 0x1001, "a"));
    assertThrows(IllegalArgumentException.class, () -> tree.replace(0x2001, 1, "a"));
    assertEquals(3, tree.size());
    assertEquals("a", tree.find(0x2fff));
    tree.checkStructure();
  }

  @Test
  void insert_outOfRange_isRefused() {
    AddressTree<String> tree = new AddressTree<>();
    for (long[] range :
        new long[][] {{-1, 1}, {0, 0}, {5, -1}, {Long.MAX_VALUE, 1}, {2, 1L << 63}}) {
      assertThrows(IllegalArgumentException.class, () -> tree.insert(range[0], range[1], "x"));
    }
    tree.insert(Long.MAX_VALUE - 1, 1, "last");
    tree.insert(0, Long.MAX_VALUE - 1, "all");
    assertEquals("all", tree.find(Long.MAX_VALUE - 2));
    assertEquals("last", tree.find(Long.MAX_VALUE - 1));
    assertEquals(2, tree.size());
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void anyOperations_beholdTheModel(long seed) {
    Random random = new Random(seed);
    AddressTree<Integer> tree = new AddressTree<>();
    TreeMap<Long, AddressTree.Range<Integer>> model = new TreeMap<>();
    int space = 20_000;
    boolean growing = true;
    for (int i = 0; i < 30_000; i++) {
      growing = model.size() < 100 || (growing && model.size() < 3000);
      long start = random.nextInt(space);
      long nrBytes = 1L + random.nextInt(5);
      String where = "seed=" + seed + " step=" + i;
      int kind = random.nextInt(10);
      Map.Entry<Long, AddressTree.Range<Integer>> below = model.lowerEntry(start + nrBytes);
      boolean overlaps = below != null && below.getValue().end() > start;
      if (kind == 0) {
        AddressTree.Range<Integer> at = model.get(start);
        Long next = model.higherKey(start);
        boolean legal = at != null && (next == null || next >= start + nrBytes);
        int value = i;
        if (legal) {
          tree.replace(start, nrBytes, value);
          model.put(start, new AddressTree.Range<>(start, nrBytes, value));
        } else {
          assertThrows(
              IllegalArgumentException.class, () -> tree.replace(start, nrBytes, value), where);
        }
      } else if (kind < (growing ? 7 : 3)) {
        int value = i;
        if (overlaps) {
          assertThrows(
              IllegalArgumentException.class, () -> tree.insert(start, nrBytes, value), where);
        } else {
          tree.insert(start, nrBytes, value);
          model.put(start, new AddressTree.Range<>(start, nrBytes, value));
        }
      } else if (growing) {
        assertEquals(model.remove(start), tree.remove(start), where);
      } else {
        Long victim = model.ceilingKey(start);
        if (victim != null) {
          assertEquals(model.remove(victim), tree.remove(victim), where);
        }
      }
      long address = random.nextInt(space + 10) - 3L;
      Map.Entry<Long, AddressTree.Range<Integer>> floor = model.floorEntry(address);
      AddressTree.Range<Integer> expected =
          floor != null && floor.getValue().end() > address ? floor.getValue() : null;
      assertEquals(expected, tree.findRange(address), where);
      if (i % 1000 == 0) {
        assertSame(model, tree, where, random);
      }
    }
    for (Long start : new ArrayList<>(model.keySet())) {
      assertEquals(model.remove(start), tree.remove(start), "seed=" + seed);
    }
    assertSame(model, tree, "emptied seed=" + seed, random);
    assertEquals(0, tree.size());
  }

  private static void assertSame(
      Map<Long, AddressTree.Range<Integer>> model,
      AddressTree<Integer> tree,
      String where,
      Random random) {
    tree.checkStructure();
    assertEquals(model.size(), tree.size(), where);
    List<AddressTree.Range<Integer>> seen = new ArrayList<>();
    tree.forEach(seen::add);
    assertEquals(new ArrayList<>(model.values()), seen, where);
    long from = random.nextInt(20_000);
    long to = from + random.nextInt(2000);
    List<AddressTree.Range<Integer>> part = new ArrayList<>();
    tree.forEach(from, to, part::add);
    assertEquals(
        model.values().stream().filter(r -> r.end() > from && r.start() < to).toList(),
        part,
        where);
  }

  /** A walk is of one moment: what its visitor does to the tree is not part of it. */
  @Test
  void forEach_visitorChangesTheTree_seesTheOldOne() {
    AddressTree<Integer> tree = new AddressTree<>();
    int nrRanges = 1000;
    for (int i = 0; i < nrRanges; i++) {
      tree.insert(i * 10L, 10, i);
    }
    List<Integer> seen = new ArrayList<>();
    tree.forEach(range -> {
      seen.add(range.value());
      tree.remove((nrRanges - 1 - range.value()) * 10L);
    });
    assertEquals(nrRanges, seen.size());
    for (int i = 0; i < nrRanges; i++) {
      assertEquals(i, seen.get(i));
    }
    assertEquals(0, tree.size());
    assertTrue(tree.remove(0) == null);
  }
}
