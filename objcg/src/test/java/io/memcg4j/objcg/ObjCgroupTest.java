package io.memcg4j.objcg;

import static org.junit.jupiter.api.Assertions.assertSame;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.percpu.CpuSlots;
import org.junit.jupiter.api.Test;

class ObjCgroupTest {
  private final MemCgroup root = MemCgroup.root(CpuSlots.create(4, 2));

  @Test
  void group_parentRemovedAfterRelease_isTheNearestThatIsThere() {
    MemCgroup group = root.create("a");
    MemCgroup child = group.create("b");
    ObjCgroup handle = ObjCgroup.of(child);
    assertSame(child, handle.group());
    child.remove();
    assertSame(group, handle.group());
    group.remove();
    assertSame(root, handle.group());
  }
}
