package io.memcg4j.objcg;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.TestAllocator.Live;
import io.memcg4j.percpu.CpuSlot;
import io.memcg4j.percpu.CpuSlots;
import io.memcg4j.percpu.SlotWork;
import java.lang.ref.WeakReference;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Deque;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Who pays, and when: scopes of one thread, and what others may do with them. */
class ScopeTest {
  private static final int PAGE = MemCgroup.PAGE_SIZE;

  private final MemCgroup root = MemCgroup.root(CpuSlots.create(4, 2));
  private final ObjCgroups registry = ObjCgroups.of(root);
  private final TestAllocator allocator = new TestAllocator(root);
  private final ObjCgroup a = ObjCgroup.of(root.create("a"));
  private final ObjCgroup b = ObjCgroup.of(root.create("b"));
  private final ObjCgroup c = ObjCgroup.of(root.create("c"));
  private final List<Live> live = new ArrayList<>();

  @AfterEach
  void everythingIsGivenBack() {
    assertNull(registry.currentScope());
    live.forEach(allocator::free);
    root.drain();
    assertEquals(0, root.usage());
    assertEquals(0, root.slots().nrBusy());
  }

  private ObjCgroup payer() {
    Live object = allocator.allocate(64);
    live.add(object);
    return object.owner();
  }

  private static void onAnotherThread(Runnable action) {
    try {
      CompletableFuture.runAsync(action, r -> new Thread(r).start()).get();
    } catch (ExecutionException e) {
      throw new AssertionError("on another thread", e.getCause());
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  // ---- nesting

  @Test
  void enter_nested_innerPaysAndCloseRestores() {
    try (Scope outer = a.enter()) {
      assertSame(a, payer());
      assertSame(outer.frame(), registry.currentScope());
      try (Scope inner = b.enter()) {
        assertSame(b, payer());
        assertSame(inner.frame(), registry.currentScope());
        assertSame(outer.frame().slot(), inner.frame().slot());
        try (Scope again = a.enter()) {
          assertSame(a, payer());
          assertSame(a, again.current());
        }
        assertSame(b, payer());
        assertSame(b, inner.current());
      }
      assertSame(a, payer());
      assertSame(a, outer.current());
    }
    assertNull(registry.currentScope());
  }

  @Test
  void enter_manyDeepOnManyGroups_restoresEach() {
    Deque<Scope> scopes = new ArrayDeque<>();
    List<ObjCgroup> handles = new ArrayList<>();
    for (int i = 0; i < 50; i++) {
      handles.add(ObjCgroup.of(root.create("g" + i)));
      scopes.push(handles.get(i).enter());
      assertSame(handles.get(i), payer());
    }
    assertEquals(1, root.slots().nrBusy());
    for (int i = 49; i >= 0; i--) {
      assertSame(handles.get(i), payer());
      scopes.pop().close();
    }
    assertEquals(0, root.slots().nrBusy());
    assertTrue(registry.nrStocks() <= 52, "one for each word and each hot one");
  }

  @Test
  void enter_afterClose_findsTheSameSlotAndStock() {
    Scope first = a.enter();
    assertSame(a, payer());
    ScopeFrame frame = first.frame();
    ObjStock stock = frame.stock();
    first.close();
    Scope second = a.enter();
    assertSame(frame, second.frame());
    second.resync();
    assertSame(stock, frame.stock());
    assertNotSame(first, second);
    second.close();
  }

  // ---- close

  @Test
  void close_twice_doesNothing() {
    Scope first = a.enter();
    first.close();
    first.close();
    Scope second = b.enter();
    first.close();
    assertSame(second.frame(), registry.currentScope());
    assertSame(b, payer());
    onAnotherThread(first::close);
    second.close();
    second.close();
  }

  @Test
  void close_wrongThread_saysSoAndChangesNothing() {
    Scope scope = a.enter();
    IllegalStateException[] thrown = new IllegalStateException[1];
    onAnotherThread(() -> thrown[0] = assertThrows(IllegalStateException.class, scope::close));
    String text = thrown[0].getMessage();
    assertTrue(text.startsWith("scope used by another thread: "), text);
    assertTrue(text.contains("scope=" + scope), text);
    assertTrue(text.contains("group=/a"), text);
    assertTrue(text.contains("thread=" + Thread.currentThread().threadId()), text);
    assertTrue(text.contains("caller="), text);
    assertSame(a, payer());
    scope.close();
  }

  @Test
  void close_outOfOrder_saysWhichIsInnermostAndChangesNothing() {
    Scope outer = a.enter();
    Scope inner = b.enter();
    IllegalStateException e = assertThrows(IllegalStateException.class, outer::close);
    assertEquals(
        "scope closed out of order: close the inner scopes first: scope="
            + outer
            + " innermost="
            + inner,
        e.getMessage());
    assertSame(b, payer());
    inner.close();
    assertSame(a, payer());
    outer.close();
  }

  // ---- resync

  @Test
  void resync_wrongThread_saysSo() {
    Scope scope = a.enter();
    onAnotherThread(() -> {
      IllegalStateException e = assertThrows(IllegalStateException.class, scope::resync);
      assertTrue(e.getMessage().startsWith("scope used by another thread: scope=" + scope));
    });
    scope.close();
  }

  @Test
  void resync_closedOrNotInnermost_saysWhichIs() {
    Scope outer = a.enter();
    Scope inner = b.enter();
    IllegalStateException e = assertThrows(IllegalStateException.class, outer::resync);
    assertEquals(
        "scope is not the innermost open one: scope=" + outer + " innermost=" + inner,
        e.getMessage());
    inner.close();
    e = assertThrows(IllegalStateException.class, inner::resync);
    assertTrue(e.getMessage().contains("closed=true"), e.getMessage());
    assertTrue(e.getMessage().endsWith("innermost=" + outer), e.getMessage());
    outer.resync();
    outer.close();
    e = assertThrows(IllegalStateException.class, outer::resync);
    assertTrue(e.getMessage().endsWith("innermost=null"), e.getMessage());
  }

  @Test
  void resync_workOfOthers_isDoneAndTheGateOpens() {
    int[] nrRuns = new int[root.slots().nrSlots()];
    SlotWork work =
        new SlotWork(root.slots()) {
          @Override
          protected void run(CpuSlot slot) {
            nrRuns[slot.index()]++;
          }
        };
    Scope scope = a.enter();
    CpuSlot mine = scope.frame().slot();
    assertFalse(mine.isArmed(scope.frame().token()), "armed by the first operation");
    scope.resync();
    assertTrue(mine.isArmed(scope.frame().token()));
    root.slots().submit(work);
    assertFalse(mine.isArmed(scope.frame().token()));
    assertEquals(0, nrRuns[mine.index()]);
    scope.resync();
    assertTrue(mine.isArmed(scope.frame().token()));
    assertEquals(1, nrRuns[mine.index()]);
    root.slots().submit(work);
    Scope inner = b.enter();
    assertEquals(1, nrRuns[mine.index()], "entering does nothing for others");
    inner.close();
    assertEquals(2, nrRuns[mine.index()]);
    assertFalse(mine.isArmed(scope.frame().token()));
    scope.resync();
    assertTrue(mine.isArmed(scope.frame().token()));
    root.slots().submit(work);
    scope.close();
    assertEquals(3, nrRuns[mine.index()]);
  }

  @Test
  void close_workOfOthersThrows_isClosedAllTheSame() {
    boolean[] broken = {true};
    SlotWork work =
        new SlotWork(root.slots()) {
          @Override
          protected void run(CpuSlot slot) {
            if (broken[0]) {
              throw new UnsupportedOperationException("broken work");
            }
          }
        };
    Scope outer = a.enter();
    Scope inner = b.enter();
    broken[0] = false;
    root.slots().submit(work);
    broken[0] = true;
    assertTrue(outer.frame().slot().workPending());
    assertThrows(UnsupportedOperationException.class, inner::close);
    assertFalse(inner.isOpen());
    assertSame(outer.frame(), registry.currentScope());
    assertSame(a, payer());
    outer.close();
  }

  // ---- removed groups

  @Test
  void enter_groupWasRemoved_chargesTheParent() {
    MemCgroup parent = root.create("p");
    MemCgroup child = parent.create("x");
    ObjCgroup handle = ObjCgroup.of(child);
    child.remove();
    try (Scope scope = handle.enter()) {
      assertSame(ObjCgroup.of(parent), payer());
      assertSame(parent, scope.current().group());
      assertSame(parent, scope.frame().stock().handle().group());
    }
    assertEquals(PAGE, parent.usage());
    parent.remove();
    try (Scope scope = handle.enter()) {
      assertSame(root, scope.current().group());
      assertSame(registry.rootHandle(), payer());
    }
  }

  @Test
  void remove_whileItsScopeIsOpen_chargesTheParentFromThenOn() {
    MemCgroup parent = root.create("p");
    MemCgroup child = parent.create("x");
    Live before;
    Live after;
    try (Scope scope = ObjCgroup.of(child).enter()) {
      before = allocator.allocate(3 * PAGE);
      assertEquals(3 * PAGE, parent.usage() / PAGE * PAGE);
      child.remove();
      after = allocator.allocate(2 * PAGE);
      assertSame(parent, scope.current().group());
      assertSame(parent, after.owner().group());
      parent.setMax(6 * PAGE);
      assertNull(allocator.tryAllocate(2 * PAGE), "the parent's limit is the one that counts");
    }
    root.drain();
    assertEquals(5 * PAGE, parent.usage());
    allocator.free(before);
    allocator.free(after);
    root.drain();
    assertEquals(0, parent.usage());
    assertEquals(4, registry.nrHandles(), "the root's and three more");
  }

  // ---- outside

  @Test
  void outsideAnyScope_nothingIsCharged() {
    assertNull(registry.currentScope());
    Live object = allocator.allocate(1 << 20);
    assertSame(registry.rootHandle(), object.owner());
    assertEquals(0, root.usage());
    allocator.free(object);
    try (Scope scope = registry.rootHandle().enter()) {
      assertSame(registry.rootHandle(), payer());
      assertEquals(ObjCgroup.ROOT_ID, scope.current().id());
    }
    assertEquals(0, root.usage());
  }

  @Test
  void free_outsideAnyScope_goesToTheOwner() {
    Live object;
    try (Scope scope = a.enter()) {
      object = allocator.allocate(10 * PAGE);
      assertTrue(scope.frame().holdsSlot());
    }
    assertTrue(a.group().usage() >= 10 * PAGE);
    allocator.free(object);
    root.drain();
    assertEquals(0, a.group().usage());
  }

  // ---- moves

  @Test
  void moveTo_fromAnotherThread_isActedOnAtTheNextOperation() {
    Scope scope = a.enter();
    assertSame(a, payer());
    long token = scope.frame().token();
    onAnotherThread(() -> scope.moveTo(b));
    assertFalse(scope.frame().slot().isArmed(token));
    assertSame(a, scope.current(), "not yet");
    assertSame(b, payer());
    assertSame(b, scope.current());
    assertFalse(scope.frame().slot().isArmed(token), "what was known of the old stock is stale");
    assertTrue(scope.frame().slot().isArmed(scope.frame().token()));
    scope.close();
  }

  @Test
  void moveTo_severalTimes_theLastOneWins() {
    Scope scope = a.enter();
    scope.moveTo(b);
    scope.moveTo(a);
    scope.moveTo(c);
    assertSame(c, payer());
    scope.moveTo(c);
    assertSame(c, payer());
    scope.close();
  }

  @Test
  void moveTo_outerScope_waitsUntilTheInnerOneIsClosed() {
    Scope outer = a.enter();
    Scope inner = b.enter();
    onAnotherThread(() -> outer.moveTo(c));
    assertSame(b, payer());
    inner.close();
    assertSame(c, payer());
    Scope next = b.enter();
    assertSame(b, payer());
    next.close();
    assertSame(c, payer());
    outer.close();
  }

  @Test
  void moveTo_removedGroup_chargesItsParent() {
    MemCgroup parent = root.create("p");
    MemCgroup child = parent.create("x");
    ObjCgroup handle = ObjCgroup.of(child);
    child.remove();
    Scope scope = a.enter();
    scope.moveTo(handle);
    assertSame(ObjCgroup.of(parent), payer());
    assertSame(parent, scope.current().group());
    scope.close();
  }

  @Test
  void moveTo_closedScope_doesNothingButAskTheSlot() {
    Scope scope = a.enter();
    scope.close();
    scope.moveTo(b);
    Scope next = a.enter();
    scope.moveTo(b);
    assertSame(a, payer());
    assertTrue(next.frame().slot().isArmed(next.frame().token()));
    next.moveTo(c);
    scope.moveTo(b);
    assertSame(c, payer(), "a move that comes too late displaces none that is due");
    next.close();
  }

  @Test
  void current_closedScopeWhoseFrameIsUsedAgain_isStillItsOwn() {
    Scope scope = a.enter();
    scope.close();
    try (Scope next = b.enter()) {
      assertSame(a, scope.current());
      assertSame(b, next.current());
      assertThrows(IllegalStateException.class, scope::frame);
      assertThrows(IllegalStateException.class, scope::takeThrottle);
      assertThrows(IllegalStateException.class, () -> scope.deferThrottle(true));
      scope.close();
      assertSame(b, payer());
    }
  }

  @Test
  void enter_instanceIsDropped_itsThreadDoesNotKeepIt() throws InterruptedException {
    WeakReference<MemCgroup> dropped = new WeakReference<>(useAndDrop());
    for (int i = 0; i < 1_000 && dropped.get() != null; i++) {
      System.gc();
      Thread.sleep(1);
    }
    assertNull(dropped.get());
  }

  private static MemCgroup useAndDrop() {
    MemCgroup tree = MemCgroup.root(CpuSlots.create(1, 1));
    TestAllocator itsAllocator = new TestAllocator(tree);
    try (Scope _ = ObjCgroup.of(tree.create("x")).enter()) {
      itsAllocator.allocate(64);
      try (Scope _ = ObjCgroup.of(tree).enter()) {
        itsAllocator.allocate(64);
      }
    }
    CpuSlot held = tree.slots().tryClaim(0);
    try (Scope overflow = ObjCgroup.of(tree).enter()) {
      assertFalse(overflow.frame().holdsSlot());
    }
    Objects.requireNonNull(held).release();
    return tree;
  }

  @Test
  void moveTo_anotherTree_isRefused() {
    MemCgroup otherRoot = MemCgroup.root(CpuSlots.create(1, 1));
    ObjCgroup other = ObjCgroup.of(otherRoot.create("x"));
    try (Scope scope = a.enter()) {
      IllegalArgumentException e =
          assertThrows(IllegalArgumentException.class, () -> scope.moveTo(other));
      assertEquals(
          "handle of another tree: handle=ObjCgroup[id=1, group=/x] tree=MemCgroup[/]",
          e.getMessage());
      assertSame(a, payer());
    }
  }

  // ---- looked up by thread

  @Test
  void currentScope_threadsWhoseIdsCollide_findTheirOwn() throws InterruptedException {
    int nrThreads = 8;
    int distance = 1 << 12; // a multiple of the length of any table that fits a thread's id
    List<Throwable> failures = Collections.synchronizedList(new ArrayList<>());
    List<Thread> threads = new ArrayList<>();
    long first = 0;
    while (threads.size() < nrThreads) {
      Thread thread = Thread.ofPlatform().unstarted(() -> enterAndLook(failures));
      first = threads.isEmpty() ? thread.threadId() : first;
      if ((thread.threadId() - first) % distance == 0) {
        threads.add(thread);
      }
    }
    threads.forEach(Thread::start);
    for (Thread thread : threads) {
      thread.join();
    }
    assertEquals(List.of(), failures);
  }

  private void enterAndLook(List<Throwable> failures) {
    try {
      for (int i = 0; i < 5_000; i++) {
        assertNull(registry.currentScope());
        try (Scope outer = a.enter()) {
          assertSame(outer.frame(), registry.currentScope());
          Thread.yield();
          try (Scope inner = b.enter()) {
            assertSame(inner.frame(), registry.currentScope());
            Thread.yield();
            assertSame(inner.frame(), registry.currentScope());
          }
          assertSame(outer.frame(), registry.currentScope());
        }
      }
    } catch (Throwable e) {
      failures.add(e);
    }
  }

  // ---- scopes that found no slot

  @Test
  void enter_allSlotsHeld_cachesNothingAndChargesTheSame() {
    CpuSlots slots = root.slots();
    List<CpuSlot> held = new ArrayList<>();
    for (CpuSlot slot = slots.tryClaim(0); slot != null; slot = slots.tryClaim(0)) {
      held.add(slot);
    }
    try (Scope scope = a.enter()) {
      assertFalse(scope.frame().holdsSlot());
      assertSame(slots.overflow(), scope.frame().slot());
      assertSame(registry.noStock(), scope.frame().stock());
      assertSame(a, payer());
      try (Scope inner = b.enter()) {
        assertFalse(inner.frame().holdsSlot());
        assertSame(b, payer());
        scope.moveTo(c);
        inner.moveTo(a);
        assertSame(a, payer());
        assertThrows(IllegalStateException.class, scope::close);
        assertThrows(IllegalStateException.class, scope::resync);
      }
      assertSame(c, payer());
      held.remove(0).release();
      try (Scope inner = b.enter()) {
        assertFalse(inner.frame().holdsSlot(), "inner scopes share the outermost one's slot");
      }
    }
    try (Scope scope = a.enter()) {
      assertTrue(scope.frame().holdsSlot());
    }
    held.forEach(CpuSlot::release);
  }

  @Test
  void enter_treeWithoutScopeSlots_works() {
    MemCgroup bare = MemCgroup.root(CpuSlots.create(0, 1));
    TestAllocator bareAllocator = new TestAllocator(bare);
    MemCgroup group = bare.create("x");
    try (Scope scope = ObjCgroup.of(group).enter()) {
      assertFalse(scope.frame().holdsSlot());
      Live object = bareAllocator.allocate(5 * PAGE);
      assertTrue(group.usage() >= 5 * PAGE);
      bareAllocator.free(object);
    }
    bare.drain();
    assertEquals(0, bare.usage());
  }

  // ---- several trees

  @Test
  void twoTrees_shareNothing() {
    MemCgroup otherRoot = MemCgroup.root(CpuSlots.create(4, 2));
    ObjCgroups otherRegistry = ObjCgroups.of(otherRoot);
    TestAllocator otherAllocator = new TestAllocator(otherRoot);
    ObjCgroup other = ObjCgroup.of(otherRoot.create("a"));
    assertNotSame(registry, otherRegistry);
    assertEquals(a.id(), other.id());
    try (Scope mine = a.enter()) {
      assertNull(otherRegistry.currentScope());
      assertSame(otherRegistry.rootHandle(), otherAllocator.allocate(8).owner());
      try (Scope theirs = other.enter()) {
        assertSame(mine.frame(), registry.currentScope());
        assertSame(theirs.frame(), otherRegistry.currentScope());
        assertSame(a, payer());
        Live object = otherAllocator.allocate(3 * PAGE);
        assertSame(other, object.owner());
        assertTrue(root.usage() < 3 * PAGE);
        otherAllocator.free(object);
      }
      assertNull(otherRegistry.currentScope());
      assertSame(a, payer());
    }
    otherRoot.drain();
    assertEquals(0, otherRoot.usage());
    assertNotNull(otherRegistry.handle(other.id()));
  }

  @Test
  void twoTrees_onTheSameSlots_doNotMix() {
    MemCgroup otherRoot = MemCgroup.root(root.slots());
    TestAllocator otherAllocator = new TestAllocator(otherRoot);
    ObjCgroup other = ObjCgroup.of(otherRoot.create("x"));
    try (Scope mine = a.enter();
        Scope theirs = other.enter()) {
      assertNotSame(mine.frame().slot(), theirs.frame().slot());
      assertSame(a, payer());
      Live object = otherAllocator.allocate(64);
      assertSame(other, object.owner());
      otherAllocator.free(object);
    }
    otherRoot.drain();
    assertEquals(0, otherRoot.usage());
  }
}
