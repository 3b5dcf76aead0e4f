package io.memcg4j.objcg;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.TestAllocator.Live;
import io.memcg4j.percpu.CpuSlots;
import java.io.File;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Deque;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The group follows the work to another thread, and stays there no longer than the work. */
class TaskGroupsTest {
  private final MemCgroup root = MemCgroup.root(CpuSlots.create(4, 2));
  private final ObjCgroups registry = ObjCgroups.of(root);
  private final TestAllocator allocator = new TestAllocator(root);
  private final MemCgroup groupOfA = root.create("a");
  private final ObjCgroup a = ObjCgroup.of(groupOfA);
  private final ObjCgroup b = ObjCgroup.of(root.create("b"));
  private final List<Live> live = Collections.synchronizedList(new ArrayList<>());

  @AfterEach
  void everythingIsGivenBack() throws InterruptedException {
    assertNull(registry.currentScope());
    // An executor counts a task as done, and may end, before its thread has left the scope.
    for (int i = 0; i < 60_000 && root.slots().nrBusy() != 0; i++) {
      Thread.sleep(1);
    }
    live.forEach(allocator::free);
    root.drain();
    assertEquals(0, root.usage());
    assertEquals(0, root.slots().nrBusy());
  }

  /** Who pays for an object that is allocated here. */
  private ObjCgroup payer() {
    Live object = allocator.allocate(64);
    live.add(object);
    return object.owner();
  }

  private ObjCgroup nobody() {
    return registry.rootHandle();
  }

  // ---- tasks

  @Test
  void wrap_callable_paidByTheGroupOfWrapTimeAndNothingIsLeft() throws Exception {
    try (ExecutorService pool = Executors.newSingleThreadExecutor()) {
      Callable<ObjCgroup> task;
      try (Scope _ = a.enter()) {
        task = ObjCgroup.wrap(this::payer);
      }
      try (Scope _ = b.enter()) {
        assertSame(a, pool.submit(task).get());
      }
      assertSame(nobody(), pool.submit(this::payer).get());
      assertSame(a, pool.submit(task).get(), "a second time");
    }
  }

  @Test
  void wrap_runnable_runByAThreadOfAnotherGroup_thatGroupIsBackAfterwards() {
    List<ObjCgroup> payers = new ArrayList<>();
    Runnable task;
    try (Scope _ = a.enter()) {
      task = ObjCgroup.wrap((Runnable) () -> payers.add(payer()));
    }
    try (Scope _ = b.enter()) {
      task.run();
      payers.add(payer());
    }
    assertEquals(List.of(a, b), payers);
  }

  @Test
  void wrap_outsideAnyScope_nobodyPaysEvenOnAThreadOfAGroup() throws Exception {
    Callable<ObjCgroup> task = ObjCgroup.wrap(this::payer);
    try (Scope _ = a.enter()) {
      assertSame(nobody(), task.call());
      assertSame(a, payer());
    }
  }

  @Test
  void wrap_taskThrows_errorArrivesAndNoScopeIsLeft() {
    Callable<ObjCgroup> task;
    try (Scope _ = a.enter()) {
      task =
          ObjCgroup.wrap(() -> {
            throw new IllegalStateException("by the task for " + payer());
          });
    }
    IllegalStateException thrown = assertThrows(IllegalStateException.class, task::call);
    assertEquals("by the task for " + a, thrown.getMessage());
    assertNull(registry.currentScope());
  }

  @Test
  void wrap_taskLeavesScopesOpen_theyAreClosedAndTheErrorIsTheTasks() {
    List<Scope> left = new ArrayList<>();
    Runnable task;
    try (Scope _ = a.enter()) {
      task =
          ObjCgroup.wrap(
              (Runnable)
                  () -> {
                    left.add(b.enter());
                    left.add(a.enter());
                    throw new IllegalStateException("forgot to close");
                  });
    }
    assertThrows(IllegalStateException.class, task::run);
    assertNull(registry.currentScope());
    left.forEach(Scope::close); // too late, and harmless
    assertEquals(0, root.slots().nrBusy());
  }

  @Test
  void wrap_groupRemovedBeforeTheTaskRuns_parentPays() throws Exception {
    MemCgroup child = groupOfA.create("child");
    Callable<ObjCgroup> task;
    try (Scope _ = ObjCgroup.of(child).enter()) {
      task = ObjCgroup.wrap(this::payer);
    }
    child.remove();
    assertSame(a, task.call());
    groupOfA.remove();
    assertSame(nobody(), task.call());
    for (int i = 0; i < 10; i++) {
      ObjCgroup.of(root.create("id" + i)); // handles whose numbers are used again
    }
    assertSame(nobody(), task.call());
  }

  @Test
  void wrap_groupRemovedWhileTheTaskRuns_parentPaysForItsObjects() throws Exception {
    MemCgroup child = groupOfA.create("child");
    Callable<Long> task;
    try (Scope _ = ObjCgroup.of(child).enter()) {
      task =
          ObjCgroup.wrap(() -> {
            ObjCgroup before = payer();
            child.remove();
            assertSame(groupOfA, before.group());
            assertEquals("/a/child", before.madeFor());
            payer();
            return groupOfA.usage();
          });
    }
    assertTrue(task.call() > 0);
  }

  @Test
  void capture_moveFromOutsideNotNoticedYet_targetIsCaptured() {
    try (Scope scope = a.enter()) {
      scope.moveTo(b);
      assertEquals(List.of(b), TaskGroups.capture().handles());
      assertEquals(TaskGroups.capture(), TaskGroups.capture());
    }
    assertEquals(TaskGroups.none(), TaskGroups.capture());
  }

  @Test
  void capture_scopesOfTwoTrees_bothFollow() throws Exception {
    MemCgroup otherRoot = MemCgroup.root(CpuSlots.create(4, 2));
    ObjCgroups other = ObjCgroups.of(otherRoot);
    ObjCgroup x = ObjCgroup.of(otherRoot.create("x"));
    ObjCgroup y = ObjCgroup.of(otherRoot.create("y"));
    Callable<List<@Nullable ScopeFrame>> scopes =
        () -> Stream.of(registry, other).map(ObjCgroups::currentScope).toList();
    Callable<List<@Nullable ScopeFrame>> both;
    Callable<List<@Nullable ScopeFrame>> onlyX;
    try (Scope _ = x.enter()) {
      onlyX = ObjCgroup.wrap(scopes);
      try (Scope _ = a.enter()) {
        both = ObjCgroup.wrap(scopes);
      }
    }
    try (Scope _ = b.enter();
        Scope _ = y.enter()) {
      assertEquals(List.of(a, x), both.call().stream().map(ScopeFrame::current).toList());
      assertEquals(List.of(nobody(), x), onlyX.call().stream().map(ScopeFrame::current).toList());
      assertSame(b, payer());
    }
    assertNull(other.currentScope());
    assertEquals(0, otherRoot.slots().nrBusy());
  }

  @Test
  void of_oneGroup_otherTreesStayAsTheyAre() {
    MemCgroup otherRoot = MemCgroup.root(CpuSlots.create(4, 2));
    ObjCgroups other = ObjCgroups.of(otherRoot);
    try (Scope outer = ObjCgroup.of(otherRoot.create("x")).enter();
        TaskScope _ = TaskGroups.of(groupOfA).enter()) {
      assertSame(a, payer());
      assertSame(outer.frame(), other.currentScope());
    }
  }

  // ---- executors

  @Test
  void wrap_executorService_eachTaskIsPaidByWhoHandsItIn() throws Exception {
    try (ExecutorService pool = ObjCgroup.wrap(Executors.newFixedThreadPool(2))) {
      List<Future<ObjCgroup>> ofA = new ArrayList<>();
      List<Future<ObjCgroup>> ofB = new ArrayList<>();
      List<Future<ObjCgroup>> ofNobody = new ArrayList<>();
      for (int i = 0; i < 50; i++) {
        try (Scope _ = a.enter()) {
          ofA.add(pool.submit(this::payer));
        }
        try (Scope _ = b.enter()) {
          ofB.addAll(pool.invokeAll(List.of(this::payer, this::payer)));
        }
        ofNobody.add(pool.submit(this::payer));
      }
      for (Future<ObjCgroup> future : ofA) {
        assertSame(a, future.get());
      }
      for (Future<ObjCgroup> future : ofB) {
        assertSame(b, future.get());
      }
      for (Future<ObjCgroup> future : ofNobody) {
        assertSame(nobody(), future.get());
      }
      pool.shutdown();
      assertTrue(pool.awaitTermination(5, TimeUnit.SECONDS));
      assertTrue(pool.isShutdown() && pool.isTerminated());
      assertEquals(List.of(), pool.shutdownNow());
    }
  }

  @Test
  void wrap_executorThatRunsInTheCaller_callersGroupIsBackAfterwards() {
    Executor direct = ObjCgroup.wrap((Executor) Runnable::run);
    try (Scope scope = a.enter()) {
      direct.execute(() -> assertSame(a, payer()));
      assertSame(scope.frame(), registry.currentScope());
    }
  }

  @Test
  void wrap_executorOfCompletableFutures_stagesArePaidByTheGroupThatBeganThem() {
    try (ExecutorService pool = Executors.newFixedThreadPool(2)) {
      Executor paying = ObjCgroup.wrap((Executor) pool);
      CompletableFuture<Void> gate = new CompletableFuture<>();
      CompletableFuture<List<ObjCgroup>> stages;
      try (Scope _ = a.enter()) {
        stages =
            CompletableFuture.supplyAsync(
                    () -> {
                      gate.join();
                      return payer();
                    },
                    paying)
                .thenApplyAsync(first -> List.of(first, payer()), paying)
                .thenApplyAsync(both -> List.of(both.getFirst(), both.getLast(), payer()), paying);
      }
      gate.complete(null); // only now is the first stage over: the next is handed in by the pool
      assertEquals(List.of(a, a, a), stages.join());
      CompletableFuture<ObjCgroup> failed;
      try (Scope _ = b.enter()) {
        failed =
            CompletableFuture.supplyAsync(
                () -> {
                  throw new IllegalStateException("for " + payer());
                },
                paying);
      }
      CompletionException thrown = assertThrows(CompletionException.class, failed::join);
      assertTrue(String.valueOf(thrown.getMessage()).contains("group=/b"), thrown::toString);
      assertSame(nobody(), CompletableFuture.supplyAsync(this::payer, paying).join());
    }
  }

  @Test
  void wrapThreads_factoryOfVirtualThreads_manyParkedTasksEachPaidByItsGroup() throws Exception {
    try (ExecutorService threads =
        Executors.newThreadPerTaskExecutor(ObjCgroup.wrapThreads(Thread.ofVirtual().factory()))) {
      CompletableFuture<Void> gate = new CompletableFuture<>();
      List<Future<ObjCgroup>> payers = new ArrayList<>();
      for (int i = 0; i < 1000; i++) {
        try (Scope _ = (i % 2 == 0 ? a : b).enter()) {
          payers.add(
              threads.submit(() -> {
                gate.join();
                return payer();
              }));
        }
      }
      gate.complete(null);
      for (int i = 0; i < payers.size(); i++) {
        assertSame(i % 2 == 0 ? a : b, payers.get(i).get());
      }
    }
  }

  /** Structured concurrency is a preview: compiled and run by a JVM that allows it. */
  @Test
  @Timeout(60)
  void wrapThreads_factoryOfStructuredForks_forksArePaidByTheOwnersGroup(@TempDir Path folder)
      throws Exception {
    int feature = Runtime.version().feature();
    Path source = folder.resolve("StructuredForks.java");
    try (var text = TaskGroupsTest.class.getResourceAsStream("StructuredForks.txt")) {
      assertTrue(text != null);
      Files.copy(text, source);
    }
    List<String> classPath = new ArrayList<>();
    for (Class<?> of : List.of(ObjCgroup.class, MemCgroup.class, CpuSlots.class)) {
      classPath.add(
          Path.of(of.getProtectionDomain().getCodeSource().getLocation().toURI()).toString());
    }
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--enable-preview",
                "--source",
                Integer.toString(feature),
                "-XX:TieredStopAtLevel=1",
                "-cp",
                String.join(File.pathSeparator, classPath),
                source.toString())
            .redirectErrorStream(true)
            .start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    int exit = process.waitFor();
    // A later JDK may have changed the preview; 25 has not.
    assumeTrue(feature == 25 || exit == 0, () -> "no such preview in " + feature + ": " + output);
    assertEquals(0, exit, output);
    assertTrue(output.contains("forks: /a /a /b, left: 0"), output);
  }

  // ---- scopes of frameworks

  @Test
  void close_enclosingScopeBeforeTheFrameworks_takesItAlong() {
    Scope outer = a.enter();
    TaskScope framework = TaskGroups.of(b.group()).enter();
    assertTrue(framework.isOpen() && framework.isInnermost());
    outer.close();
    assertFalse(framework.isOpen() || framework.isInnermost());
    assertNull(registry.currentScope());
    framework.close();
  }

  @Test
  void close_enclosingScopeWithAUsersScopeInside_isRefusedAndChangesNothing() {
    Scope outer = a.enter();
    TaskScope framework = TaskGroups.of(b.group()).enter();
    Scope inner = a.enter();
    assertThrows(IllegalStateException.class, outer::close);
    assertSame(inner.frame(), registry.currentScope());
    assertTrue(framework.isOpen() && !framework.isInnermost());
    inner.close();
    assertTrue(framework.isInnermost());
    framework.close();
    outer.close();
  }

  @Test
  void unwind_byAnotherThread_isRefused() {
    try (Scope scope = a.enter()) {
      CompletionException thrown =
          assertThrows(
              CompletionException.class, () -> CompletableFuture.runAsync(scope::unwind).join());
      assertTrue(thrown.getCause() instanceof IllegalStateException, thrown::toString);
      assertSame(a, payer());
    }
  }

  /** Scopes of users and frameworks are opened and closed in any order; a stack says who pays. */
  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5})
  void anyOrder_payerIsThatOfTheInnermostOpenScope(long seed) {
    record Open(AutoCloseable scope, boolean isFrameworks, ObjCgroup payer) {}
    Random random = new Random(seed);
    Deque<Open> stack = new ArrayDeque<>();
    List<Open> ever = new ArrayList<>();
    for (int step = 0; step < 5_000; step++) {
      String where = "seed=" + seed + " step=" + step;
      if (random.nextInt(5) < 2 && stack.size() < 8) {
        ObjCgroup payer = random.nextBoolean() ? a : b;
        boolean isFrameworks = random.nextBoolean();
        AutoCloseable scope = isFrameworks ? TaskGroups.of(payer.group()).enter() : payer.enter();
        stack.push(new Open(scope, isFrameworks, payer));
        ever.add(stack.peek());
      } else if (!ever.isEmpty()) {
        Open one = ever.get(Math.max(0, ever.size() - 1 - random.nextInt(10)));
        boolean usersInside =
            stack.contains(one)
                && stack.stream().takeWhile(s -> s != one).anyMatch(s -> !s.isFrameworks());
        if (usersInside && !one.isFrameworks()) {
          assertThrows(IllegalStateException.class, one.scope()::close, where);
        } else {
          closeQuietly(one.scope());
          while (stack.contains(one)) {
            stack.pop();
          }
        }
      }
      Open top = stack.peek();
      ScopeFrame current = registry.currentScope();
      assertSame(
          top == null ? null : top.payer(), current == null ? null : current.current(), where);
      if (step % 50 == 0) {
        assertSame(top == null ? nobody() : top.payer(), payer(), where);
      }
    }
    while (!stack.isEmpty()) {
      closeQuietly(stack.pop().scope());
    }
  }

  private static void closeQuietly(AutoCloseable scope) {
    try {
      scope.close();
    } catch (Exception e) {
      throw new AssertionError(e);
    }
  }
}
