package io.memcg4j.context;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.ObjCgroups;
import io.memcg4j.objcg.Scope;
import io.memcg4j.objcg.TaskGroups;
import io.memcg4j.percpu.CpuSlots;
import io.memcg4j.slab.Kmalloc;
import io.micrometer.context.ContextExecutorService;
import io.micrometer.context.ContextRegistry;
import io.micrometer.context.ContextSnapshot;
import io.micrometer.context.ContextSnapshotFactory;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Hooks;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;

/** The accessor as frameworks use it: found by itself, through snapshots. */
@Timeout(60)
class TaskGroupsAccessorTest {
  private static final String NOBODY = "nobody";

  private final MemCgroup root = MemCgroup.root();
  private final ObjCgroups registry = ObjCgroups.of(root);
  private final ObjCgroup a = ObjCgroup.of(root.create("a"));
  private final ObjCgroup b = ObjCgroup.of(root.create("b"));
  private final ContextSnapshotFactory snapshots = ContextSnapshotFactory.builder().build();
  private final TaskGroupsAccessor accessor = new TaskGroupsAccessor();

  @BeforeAll
  static void propagateAutomatically() {
    Hooks.enableAutomaticContextPropagation();
  }

  @AfterAll
  static void propagateNoMore() {
    Hooks.disableAutomaticContextPropagation();
  }

  @AfterEach
  void noScopeIsLeft() {
    assertNull(registry.currentScope());
    assertNull(accessor.getValue());
    assertEquals(0, root.slots().nrBusy());
  }

  private String payer() {
    var scope = registry.currentScope();
    return scope == null || scope.current().id() == ObjCgroup.ROOT_ID
        ? NOBODY
        : scope.current().group().path();
  }

  private ContextSnapshot captureIn(ObjCgroup group) {
    try (Scope _ = group.enter()) {
      return snapshots.captureAll();
    }
  }

  // ---- executors

  @Test
  void serviceLoader_registersTheAccessor() {
    assertTrue(
        ContextRegistry.getInstance().getThreadLocalAccessors().stream()
            .anyMatch(known -> known instanceof TaskGroupsAccessor));
  }

  @Test
  void executor_eachTaskIsPaidByWhoSubmitsAndNothingIsLeft() throws Exception {
    try (ExecutorService pool = Executors.newFixedThreadPool(2)) {
      ExecutorService paying = ContextExecutorService.wrap(pool, snapshots::captureAll);
      List<Future<String>> payers = new ArrayList<>();
      for (int i = 0; i < 100; i++) {
        try (Scope _ = (i % 2 == 0 ? a : b).enter()) {
          payers.add(paying.submit(this::payer));
        }
        payers.add(pool.submit(this::payer));
      }
      for (int i = 0; i < payers.size(); i++) {
        String expected = i % 2 == 1 ? NOBODY : i % 4 == 0 ? "/a" : "/b";
        assertEquals(expected, payers.get(i).get(), "task " + i);
      }
    }
  }

  @Test
  void virtualThreads_parkedOnes_keepTheirGroup() throws Exception {
    try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      ExecutorService paying = ContextExecutorService.wrap(threads, snapshots::captureAll);
      CompletableFuture<Void> gate = new CompletableFuture<>();
      List<Future<String>> payers = new ArrayList<>();
      for (int i = 0; i < 500; i++) {
        try (Scope _ = (i % 2 == 0 ? a : b).enter()) {
          payers.add(
              paying.submit(() -> {
                gate.join();
                return payer();
              }));
        }
      }
      gate.complete(null);
      for (int i = 0; i < payers.size(); i++) {
        assertEquals(i % 2 == 0 ? "/a" : "/b", payers.get(i).get());
      }
    }
  }

  @Test
  void completableFuture_stagesArePaidByTheGroupThatBeganThem() {
    try (ExecutorService pool = Executors.newFixedThreadPool(2)) {
      ExecutorService paying = ContextExecutorService.wrap(pool, snapshots::captureAll);
      CompletableFuture<List<String>> stages;
      try (Scope _ = a.enter()) {
        stages =
            CompletableFuture.supplyAsync(this::payer, paying)
                .thenApplyAsync(first -> List.of(first, payer()), paying);
      }
      assertEquals(List.of("/a", "/a"), stages.join());
    }
  }

  @Test
  void removedGroup_parentPays() {
    MemCgroup child = a.group().create("child");
    ContextSnapshot snapshot = captureIn(ObjCgroup.of(child));
    child.remove();
    try (Kmalloc kmalloc = Kmalloc.create(root)) {
      long[] address = new long[1];
      snapshot.wrap((Runnable) () -> address[0] = kmalloc.allocate(8192)).run();
      root.drain();
      assertTrue(a.group().usage() >= 8192, () -> "usage=" + a.group().usage());
      kmalloc.free(address[0]);
    }
  }

  // ---- Reactor

  @Test
  void reactor_operatorsOnOtherThreads_arePaidByWhoSubscribed() {
    List<String> payers;
    List<String> threads = new ArrayList<>();
    try (Scope _ = a.enter()) {
      payers =
          Flux.range(0, 20)
              .publishOn(Schedulers.parallel())
              .map(i -> payer())
              .delayElements(Duration.ofMillis(1))
              .flatMap(first ->
                  Mono.fromCallable(
                          () -> {
                            synchronized (threads) {
                              threads.add(Thread.currentThread().getName());
                            }
                            return first + payer();
                          })
                      .subscribeOn(Schedulers.boundedElastic()))
              .collectList()
              .block();
      assertEquals("/a", payer());
    }
    assertTrue(payers != null && payers.size() == 20);
    assertEquals(List.of("/a/a"), payers.stream().distinct().toList());
    assertTrue(threads.stream().noneMatch(Thread.currentThread().getName()::equals));
    assertPoolsAreClean();
  }

  @Test
  void reactor_twoTenantsAtOnce_eachIsPaidByItsOwn() {
    Mono<List<String>> work =
        Flux.range(0, 50)
            .parallel(2)
            .runOn(Schedulers.parallel())
            .map(i -> payer())
            .sequential()
            .delayElements(Duration.ofNanos(1))
            .map(first -> first.equals(payer()) ? first : "changed")
            .collectList();
    CompletableFuture<List<String>> ofA;
    CompletableFuture<List<String>> ofB;
    try (Scope _ = a.enter()) {
      ofA = work.contextCapture().toFuture();
    }
    try (Scope _ = b.enter()) {
      ofB = work.contextCapture().toFuture();
    }
    assertEquals(List.of("/a"), ofA.join().stream().distinct().toList());
    assertEquals(List.of("/b"), ofB.join().stream().distinct().toList());
    assertPoolsAreClean();
  }

  @Test
  void reactor_operatorThrows_nothingIsLeft() {
    try (Scope _ = a.enter()) {
      Mono<String> failing =
          Mono.fromCallable(() -> "x")
              .publishOn(Schedulers.parallel())
              .map(x -> {
                throw new IllegalStateException("for " + payer());
              });
      IllegalStateException thrown = assertThrows(IllegalStateException.class, failing::block);
      assertEquals("for /a", thrown.getMessage());
      assertEquals(
          "resumed by /a", failing.onErrorResume(e -> Mono.just("resumed by " + payer())).block());
    }
    assertPoolsAreClean();
  }

  /** Work that carries no context finds none on the threads that others used. */
  private void assertPoolsAreClean() {
    for (int i = 0; i < 2 * Runtime.getRuntime().availableProcessors(); i++) {
      CompletableFuture<String> payer = new CompletableFuture<>();
      var _ = Schedulers.parallel().schedule(() -> payer.complete(payer()));
      assertEquals(NOBODY, payer.join());
    }
    assertEquals(0, root.slots().nrBusy());
  }

  // ---- orders that should not be

  @Test
  void restore_setInsideWasNotUndone_bothAreUndone() {
    try (ContextSnapshot.Scope _ = captureIn(a).setThreadLocals()) {
      captureIn(b).setThreadLocals(); // never closed
      assertEquals("/b", payer());
    }
    assertEquals(NOBODY, payer());
  }

  @Test
  void restore_outOfOrder_endsWithNone() {
    ContextSnapshot.Scope first = captureIn(a).setThreadLocals();
    ContextSnapshot.Scope second = captureIn(b).setThreadLocals();
    first.close();
    assertEquals(NOBODY, payer());
    second.close();
    assertEquals(NOBODY, payer());
  }

  @Test
  void restore_workLeftItsOwnScopeOpen_itIsClosedAndClosingItLaterIsHarmless() {
    Scope forgotten;
    try (ContextSnapshot.Scope _ = captureIn(a).setThreadLocals()) {
      forgotten = b.enter();
      assertEquals("/b", payer());
    }
    assertEquals(NOBODY, payer());
    forgotten.close();
  }

  @Test
  void close_scopeOfTheApplicationWithASetInside_doesNotThrow() {
    ContextSnapshot.Scope set;
    try (Scope _ = a.enter()) {
      set = captureIn(b).setThreadLocals();
      assertEquals("/b", payer());
    }
    assertEquals(NOBODY, payer());
    set.close();
    assertEquals(NOBODY, payer());
  }

  @Test
  void set_neverUndone_keepsOneSlotUntilTheThreadEnds() throws Exception {
    MemCgroup smallRoot = MemCgroup.root(CpuSlots.create(1, 1));
    ObjCgroup x = ObjCgroup.of(smallRoot.create("x"));
    ObjCgroup y = ObjCgroup.of(smallRoot.create("y"));
    List<ContextSnapshot> captured = List.of(captureIn(x), captureIn(y));
    int[] nrBusy = new int[1];
    Thread thread =
        Thread.ofPlatform()
            .start(() -> {
              for (int i = 0; i < 10_000; i++) {
                captured.get(i % 2).setThreadLocals();
              }
              nrBusy[0] = smallRoot.slots().nrBusy();
            });
    thread.join();
    assertEquals(1, nrBusy[0]);
    try (Scope scope = x.enter()) {
      assertTrue(scope.frame().holdsSlot(), "the only slot is still the dead thread's");
    }
    assertEquals(0, smallRoot.slots().nrBusy());
  }

  @Test
  void clear_insideAScopeOfTheApplication_nobodyPaysUntilItIsUndone() {
    ContextSnapshotFactory clearing = ContextSnapshotFactory.builder().clearMissing(true).build();
    ContextSnapshot empty = clearing.captureAll();
    try (Scope _ = a.enter()) {
      try (ContextSnapshot.Scope _ = empty.setThreadLocals()) {
        assertEquals(NOBODY, payer());
        try (ContextSnapshot.Scope _ = captureIn(b).setThreadLocals()) {
          assertEquals("/b", payer());
        }
        assertEquals(NOBODY, payer());
      }
      assertEquals("/a", payer());
    }
  }

  /** Sets, scopes of the application and clears, nested at random, each undone in order. */
  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
  void nested_payerIsTheLastOneThatWasSet(long seed) {
    Random random = new Random(seed);
    List<ContextSnapshot> captured = List.of(captureIn(a), captureIn(b));
    ContextSnapshot empty =
        ContextSnapshotFactory.builder().clearMissing(true).build().captureAll();
    Deque<AutoCloseable> open = new ArrayDeque<>();
    Deque<String> payers = new ArrayDeque<>(List.of(NOBODY));
    for (int step = 0; step < 4_000 || !open.isEmpty(); step++) {
      if (step < 4_000 && open.size() < 12 && random.nextInt(100) < 52) {
        int which = random.nextInt(2);
        String path = which == 0 ? "/a" : "/b";
        switch (random.nextInt(4)) {
          case 0 -> {
            open.push((which == 0 ? a : b).enter());
            payers.push(path);
          }
          case 1 -> {
            open.push(empty.setThreadLocals());
            payers.push(NOBODY);
          }
          case 2 -> {
            // What was just captured here is set here again.
            open.push(snapshots.captureAll().setThreadLocals());
            payers.push(payers.getFirst());
          }
          default -> {
            open.push(captured.get(which).setThreadLocals());
            payers.push(path);
          }
        }
      } else if (!open.isEmpty()) {
        close(open.pop());
        payers.pop();
      }
      assertEquals(payers.peek(), payer(), "seed=" + seed + " step=" + step);
    }
  }

  /** Everything is closed at some time, in any order, and then nothing is left. */
  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
  void anyOrder_nothingThrowsAndNothingIsLeft(long seed) {
    Random random = new Random(seed);
    List<ContextSnapshot> captured = List.of(captureIn(a), captureIn(b));
    for (int round = 0; round < 300; round++) {
      try (ContextSnapshot.Scope _ = captured.get(random.nextInt(2)).setThreadLocals()) {
        List<AutoCloseable> open = new ArrayList<>();
        for (int i = 0; i < 6; i++) {
          open.add(captured.get(random.nextInt(2)).setThreadLocals());
        }
        while (!open.isEmpty()) {
          close(open.remove(random.nextInt(open.size())));
        }
      }
      assertEquals(NOBODY, payer(), "seed=" + seed + " round=" + round);
      assertEquals(0, root.slots().nrBusy(), "seed=" + seed + " round=" + round);
    }
  }

  private static void close(AutoCloseable closeable) {
    try {
      closeable.close();
    } catch (Exception e) {
      throw new AssertionError(e);
    }
  }

  @Test
  void getValue_insideTheSetOfASnapshot_isTheSnapshotsOwn() {
    TaskGroups groups = TaskGroups.of(a.group());
    @Nullable TaskGroups before = accessor.getValue();
    accessor.setValue(groups);
    assertEquals(groups, accessor.getValue());
    accessor.restore();
    assertNull(before);
  }
}
