package io.memcg4j.memcg;

import static org.junit.jupiter.api.Assertions.assertAll;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.percpu.CpuSlot;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class MemCgroupTreeTest {
  private final MemCgroup root = MemCgroup.root();

  @Test
  void root_new_isOnlineUnlimitedAndEmpty() {
    assertAll(
        () -> assertEquals("/", root.path()),
        () -> assertEquals("", root.name()),
        () -> assertNull(root.parent()),
        () -> assertSame(root, root.treeRoot()),
        () -> assertTrue(root.isOnline()),
        () -> assertEquals(List.of(), root.children()),
        () -> assertEquals(MemCgroup.UNLIMITED, root.max()),
        () -> assertEquals(0, root.usage()),
        () -> assertEquals(new MemoryEvents(0, 0, 0, 0, 0, 0), root.events()));
  }

  @Test
  void create_belowEachOther_givesPathsAndParents() {
    MemCgroup a = root.create("a");
    MemCgroup b = a.create("b");
    assertAll(
        () -> assertEquals("/a/b", b.path()),
        () -> assertEquals("b", b.name()),
        () -> assertSame(a, b.parent()),
        () -> assertSame(root, b.treeRoot()),
        () -> assertSame(root.slots(), b.slots()),
        () -> assertEquals(List.of(a), root.children()));
  }

  @Test
  void find_byPath_isAbsoluteWithASlashElseRelative() {
    MemCgroup a = root.create("a");
    MemCgroup b = a.create("b");
    MemCgroup other = root.create("b");
    assertAll(
        () -> assertSame(b, root.find("a/b")),
        () -> assertSame(b, root.find("/a/b")),
        () -> assertSame(b, a.find("b")),
        () -> assertSame(other, a.find("/b")),
        () -> assertSame(root, b.find("/")),
        () -> assertNull(root.find("a/c")),
        () -> assertNull(root.find("c/b")),
        () -> assertNull(b.find("a")));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "//", "a/", "/a/", "a//b", ".", "..", "/a/../a", "a/./b"})
  void find_malformedPath_findsNothing(String path) {
    root.create("a").create("b");
    assertNull(root.find(path));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "/", "a/b", ".", "..", "a\nb", "\u0000", "\u007f", "\u0085"})
  void create_illegalName_throwsNamingIt(String name) {
    IllegalArgumentException e =
        assertThrows(IllegalArgumentException.class, () -> root.create(name));
    assertTrue(e.getMessage().startsWith("illegal group name: name=\""), e.getMessage());
    assertTrue(e.getMessage().chars().noneMatch(Character::isISOControl), e.getMessage());
    assertEquals(List.of(), root.children());
  }

  @Test
  void create_nameLength_isBoundedBy255() {
    assertNotNull(root.create("x".repeat(255)));
    assertThrows(IllegalArgumentException.class, () -> root.create("x".repeat(256)));
    assertThrows(IllegalArgumentException.class, () -> root.create("x".repeat(1 << 20)));
  }

  @ParameterizedTest
  @ValueSource(strings = {"a b", "...", ".a", "-", "acme@example.org", "\u00e9\ud83d\ude00", "a=b"})
  void create_unusualName_isFound(String name) {
    MemCgroup group = root.create("x").create(name);
    assertSame(group, root.find("x/" + name));
  }

  @Test
  void create_duplicate_throwsNamingIt() {
    MemCgroup a = root.create("a");
    a.create("b");
    IllegalStateException e = assertThrows(IllegalStateException.class, () -> a.create("b"));
    assertEquals("group exists: group=/a/b", e.getMessage());
  }

  @Test
  void remove_withChildren_isRefused() {
    MemCgroup a = root.create("a");
    MemCgroup b = a.create("b");
    IllegalStateException e = assertThrows(IllegalStateException.class, a::remove);
    assertEquals("group has children: group=/a children=1", e.getMessage());
    assertTrue(a.isOnline());
    b.remove();
    a.remove();
    assertFalse(a.isOnline());
    assertEquals(List.of(), root.children());
  }

  @Test
  void remove_root_isRefused() {
    assertThrows(IllegalStateException.class, root::remove);
    assertTrue(root.isOnline());
  }

  @Test
  void remove_twice_isRefused() {
    MemCgroup a = root.create("a");
    a.remove();
    IllegalStateException e = assertThrows(IllegalStateException.class, a::remove);
    assertEquals("group was removed: group=/a operation=remove", e.getMessage());
  }

  @Test
  void create_belowRemoved_isRefused() {
    MemCgroup a = root.create("a");
    a.remove();
    IllegalStateException e = assertThrows(IllegalStateException.class, () -> a.create("b"));
    assertEquals("group was removed: group=/a operation=create", e.getMessage());
  }

  @Test
  void create_nameOfRemoved_makesAnotherGroup() {
    MemCgroup a = root.create("a");
    a.remove();
    MemCgroup again = root.create("a");
    assertNotSame(a, again);
    assertSame(again, root.find("a"));
    assertEquals("/a", a.path());
  }

  @Test
  void isDescendantOf_relatives_seesTheWayUpOnly() {
    MemCgroup a = root.create("a");
    MemCgroup b = a.create("b");
    MemCgroup c = root.create("c");
    assertAll(
        () -> assertTrue(b.isDescendantOf(b)),
        () -> assertTrue(b.isDescendantOf(a)),
        () -> assertTrue(b.isDescendantOf(root)),
        () -> assertFalse(a.isDescendantOf(b)),
        () -> assertFalse(b.isDescendantOf(c)),
        () -> assertFalse(b.isDescendantOf(MemCgroup.root())),
        () -> assertSame(root, b.commonAncestor(c)),
        () -> assertSame(a, b.commonAncestor(a)),
        () -> assertSame(a, a.commonAncestor(b)));
  }

  @Test
  void tree_tenDeep_chargesAndLimitsAtEveryLevel() {
    MemCgroup group = root;
    List<MemCgroup> levels = new ArrayList<>();
    for (int i = 0; i < 10; i++) {
      group = group.create("level" + i);
      levels.add(group);
    }
    MemCgroup leaf = group;
    for (MemCgroup level : levels) {
      level.setMax(3 * MemCgroup.PAGE_SIZE);
      assertNull(leaf.tryChargeNow(3));
      assertSame(leaf.max() == level.max() ? leaf : level, leaf.tryChargeNow(1));
      leaf.unchargeNow(3);
      level.setMax(MemCgroup.UNLIMITED);
    }
    assertSame(leaf, root.find(leaf.path()));
    assertNull(leaf.tryChargeNow(5));
    for (int i = levels.size() - 1; i >= 0; i--) {
      levels.get(i).remove();
      assertEquals(5L * MemCgroup.PAGE_SIZE, root.usage());
    }
  }

  @Test
  void createAndRemove_byManyThreads_keepTheTreeWhole() throws Exception {
    int nrThreads = 8;
    AtomicInteger nrCreated = new AtomicInteger();
    AtomicInteger nrDuplicates = new AtomicInteger();
    CountDownLatch start = new CountDownLatch(1);
    List<Thread> threads = new ArrayList<>();
    for (int t = 0; t < nrThreads; t++) {
      threads.add(
          Thread.ofVirtual()
              .start(() -> {
                try {
                  start.await();
                } catch (InterruptedException e) {
                  throw new IllegalStateException(e);
                }
                for (int i = 0; i < 2000; i++) {
                  try {
                    root.create("g" + i % 100);
                    nrCreated.incrementAndGet();
                  } catch (IllegalStateException e) {
                    nrDuplicates.incrementAndGet();
                  }
                  MemCgroup found = root.find("g" + (i * 7) % 100);
                  if (found != null && i % 3 == 0) {
                    try {
                      found.remove();
                      nrCreated.decrementAndGet();
                    } catch (IllegalStateException e) {
                      assertTrue(e.getMessage().startsWith("group was removed"));
                    }
                  }
                }
              }));
    }
    start.countDown();
    for (Thread thread : threads) {
      thread.join();
    }
    Set<String> names = new HashSet<>();
    for (MemCgroup child : root.children()) {
      assertTrue(child.isOnline());
      assertSame(child, root.find(child.name()));
      assertTrue(names.add(child.name()));
    }
    assertEquals(nrCreated.get(), names.size());
    assertTrue(nrDuplicates.get() > 0);
  }

  @Test
  void subsystem_firstUse_isMadeOncePerTree() {
    MemCgroup a = root.create("a");
    Recorder first = a.subsystem(Recorder.class, Recorder::new);
    assertSame(root, first.madeFor);
    assertSame(first, root.subsystem(Recorder.class, Recorder::new));
    assertNotSame(first, MemCgroup.root().subsystem(Recorder.class, Recorder::new));
  }

  @Test
  void remove_withSubsystem_callsOfflineOnceThenDrains() {
    MemCgroup a = root.create("a");
    Recorder recorder = root.subsystem(Recorder.class, Recorder::new);
    a.remove();
    assertEquals("offline /a to / online=false", recorder.calls.getFirst());
    assertEquals(1 + root.slots().nrSlots(), recorder.calls.size());
    assertTrue(
        recorder.calls.stream().skip(1).allMatch("drain /a"::equals), recorder.calls.toString());
  }

  @Test
  void state_compareAndSet_isByIdentity() {
    MemCgroup a = root.create("a");
    MemCgroup.GroupState one = new MemCgroup.GroupState() {};
    MemCgroup.GroupState two = new MemCgroup.GroupState() {};
    assertNull(a.state());
    assertTrue(a.compareAndSetState(null, one));
    assertFalse(a.compareAndSetState(null, two));
    assertFalse(a.compareAndSetState(two, two));
    assertTrue(a.compareAndSetState(one, two));
    assertSame(two, a.state());
    assertTrue(a.compareAndSetState(two, null));
    assertNull(a.state());
  }

  private static final class Recorder implements MemCgroup.Subsystem {
    final MemCgroup madeFor;
    final List<String> calls = new ArrayList<>();

    Recorder(MemCgroup root) {
      this.madeFor = root;
    }

    @Override
    public void drain(CpuSlot slot, MemCgroup subtree) {
      calls.add("drain " + subtree.path());
    }

    @Override
    public void offline(MemCgroup dying, MemCgroup parent) {
      calls.add("offline " + dying.path() + " to " + parent.path() + " online=" + dying.isOnline());
    }
  }
}
