package io.memcg4j.memcg;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.percpu.CpuSlots;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.openjdk.jol.info.GraphLayout;

/** A million groups, and what one of them takes. */
class GroupCountTest {
  private static final int MAX_GROUP_BYTES = 1024;

  static {
    System.setProperty("jol.skipHotspotSAAttach", "true"); // two seconds, and not needed here
  }

  @Test
  void tree_oneMillionGroups_works() {
    MemCgroup root = MemCgroup.root();
    // Half a million siblings, and half a million in a tree of fan-out 8 and more.
    MemCgroup wide = root.create("wide");
    int nrWide = 500_000;
    for (int i = 0; i < nrWide; i++) {
      wide.create("g" + i);
    }
    List<MemCgroup> level = new ArrayList<>(List.of(root.create("deep")));
    int nrDeep = 1;
    while (nrDeep < 500_000) {
      List<MemCgroup> next = new ArrayList<>();
      for (MemCgroup above : level) {
        for (int i = 0; i < 8 && nrDeep < 500_000; i++, nrDeep++) {
          next.add(above.create("c" + i));
        }
      }
      level = next;
    }
    assertEquals(nrWide, wide.children().size());
    for (int i = 0; i < nrWide; i += 7) {
      MemCgroup group = root.find("/wide/g" + i);
      assertSame(wide, group == null ? null : group.parent());
    }
    MemCgroup last = level.getLast();
    assertSame(last, root.find(last.path()));
    for (int i = 0; i < nrWide; i += 3) {
      MemCgroup group = root.find("wide/g" + i);
      assertNull(group == null ? root : group.tryChargeNow(1));
    }
    assertEquals((nrWide + 2) / 3, wide.counter().usage());
    for (int i = 0; i < nrWide; i += 5) {
      MemCgroup group = root.find("wide/g" + i);
      if (group != null) {
        group.remove();
      }
      assertNull(root.find("wide/g" + i));
    }
    assertEquals(nrWide - nrWide / 5, wide.children().size());
    assertEquals((nrWide + 2) / 3, root.counter().usage());
  }

  @Test
  void group_deepSize_isAtMostOneKibibyte() {
    long leaf = (bytesOfTree(2000, 1) - bytesOfTree(1000, 1)) / 1000;
    long inner = (bytesOfTree(1000, 2) - bytesOfTree(1000, 1)) / 1000;
    System.out.println(
        "a group takes, in bytes: leafWithItsEntry=%d onlyChildWithItsMap=%d"
            .formatted(leaf, inner));
    assertTrue(leaf <= MAX_GROUP_BYTES, "leafBytes=" + leaf);
    assertTrue(inner <= MAX_GROUP_BYTES, "innerBytes=" + inner);
  }

  /** A root with chains of groups below it. */
  private static long bytesOfTree(int nrChains, int length) {
    MemCgroup root = MemCgroup.root(CpuSlots.create(1, 1));
    for (int i = 0; i < nrChains; i++) {
      MemCgroup group = root;
      for (int depth = 0; depth < length; depth++) {
        group = group.create("tenant" + (10_000 + i));
      }
    }
    return GraphLayout.parseInstance(root).totalSize();
  }
}
