package io.memcg4j.objcg;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.ReferenceTree.Node;
import io.memcg4j.objcg.TestAllocator.Live;
import io.memcg4j.percpu.CpuSlots;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Eight threads enter, nest, charge, free, pass on, move each other, make, remove and drain groups,
 * and die in scopes. Each charge is checked against a naive reference when it is made, and all sums
 * when the threads rest.
 */
class ObjcgModelTest {
  private static final int NR_THREADS = 8;
  private static final int NR_ROUNDS = 24;
  private static final int NR_STEPS = 1_500;
  private static final int MAX_GROUPS = 40;
  private static final long MOST_BYTES = 1L << 30;

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 20261121})
  void randomOperations_eightThreads_agreeWithTheReference(long seed) throws Exception {
    try (Run run = new Run(seed)) {
      for (int round = 0; round < NR_ROUNDS; round++) {
        run.round = round;
        run.onAllThreads(Worker::work);
        run.checkSums();
        if (round % 3 == 2) {
          run.onAllThreads(Worker::closeAll);
          run.visitAllSlots();
          run.checkAtRest();
        }
      }
      run.end();
    }
  }

  /** A scope, and where it was entered and moved to, in this order. */
  private static final class ModelScope {
    final Scope scope;
    private final List<Node> targets = new ArrayList<>();

    ModelScope(Scope scope, Node entered) {
      this.scope = scope;
      targets.add(entered);
    }

    synchronized void moveTo(Node target) {
      targets.add(target);
      scope.moveTo(target.handle);
    }

    /** Number of the last move whose call has returned; 0 for the entered group. */
    synchronized int lastMove() {
      return targets.size() - 1;
    }

    synchronized List<Node> targets(int firstMove) {
      return List.copyOf(targets.subList(firstMove, targets.size()));
    }
  }

  private static final class Run implements AutoCloseable {
    final long seed;
    final Random random;
    final MemCgroup root = MemCgroup.root(CpuSlots.create(5, 2));
    final ObjCgroups registry = ObjCgroups.of(root);
    final TestAllocator allocator = new TestAllocator(root);
    final ReferenceTree reference = new ReferenceTree(root);
    final ConcurrentLinkedQueue<Live> passedOn = new ConcurrentLinkedQueue<>();
    final List<ModelScope> scopes = new CopyOnWriteArrayList<>();
    final List<Worker> workers = new ArrayList<>();
    volatile int round;

    Run(long seed) {
      this.seed = seed;
      this.random = new Random(seed);
      for (int i = 0; i < 10; i++) {
        reference.create(random, MAX_GROUPS);
      }
      for (int i = 0; i < NR_THREADS; i++) {
        workers.add(new Worker(this, new Random(seed * 1_000 + i)));
      }
    }

    String where() {
      return "seed=" + seed + " round=" + round;
    }

    void onAllThreads(Consumer<Worker> work) throws Exception {
      List<Future<?>> results = new ArrayList<>();
      for (Worker worker : workers) {
        results.add(worker.thread.submit(() -> work.accept(worker)));
      }
      for (Future<?> result : results) {
        result.get();
      }
    }

    /**
     * Opens a scope in each slot at the same time, so that what the dead left there is forgotten.
     */
    void visitAllSlots() throws Exception {
      for (Worker worker : workers) {
        worker.thread.submit(() -> worker.enter(reference.online().get(0))).get();
      }
      assertEquals(root.slots().nrScopeSlots(), root.slots().nrBusy(), where());
      onAllThreads(Worker::closeAll);
      assertEquals(0, root.slots().nrBusy(), where());
    }

    List<Live> live() {
      List<Live> live = new ArrayList<>(passedOn);
      workers.forEach(worker -> live.addAll(worker.live));
      return live;
    }

    /** With scopes open: busy slots may hold some more, and no limit is passed. */
    void checkSums() {
      root.drain();
      Map<Node, Long> expected = reference.usage(live());
      for (Node node : reference.online()) {
        long usage = node.group.usage();
        String where = where() + " group=" + node + " usage=" + usage;
        assertTrue(usage >= expected.getOrDefault(node, 0L), where + " expected=" + expected);
        assertTrue(usage <= node.group.max(), where);
      }
    }

    /** Without scopes: exact sums, nothing kept, and all that is free can be had. */
    void checkAtRest() {
      root.drain();
      List<Live> live = live();
      Map<Node, Long> expected = reference.usage(live);
      for (Node node : reference.online()) {
        String where = where() + " group=" + node;
        assertEquals(expected.getOrDefault(node, 0L), node.group.usage(), where);
        assertSame(node.handle, ObjCgroup.of(node.group), where);
      }
      for (Live object : live) {
        Node payer = reference.nodeOf(object.owner()).nearestOnline();
        assertSame(payer.group, object.owner().group(), where());
      }
      assertEquals(reference.nrHandles(live), registry.nrHandles(), where());
      for (Node node : reference.online()) {
        checkRoom(node, live);
      }
      root.drain();
    }

    private void checkRoom(Node node, List<Live> live) {
      long room = reference.room(node, live);
      if (node.parent == null || room > MOST_BYTES) {
        return;
      }
      String where = where() + " group=" + node + " room=" + room;
      try (Scope scope = node.handle.enter()) {
        Live all = room == 0 ? null : allocator.tryAllocateExactly(scope.frame(), room);
        assertTrue(room == 0 || all != null, where);
        assertNull(allocator.tryAllocateExactly(scope.frame(), 1), where);
        if (all != null) {
          allocator.free(all);
          Live again = allocator.tryAllocate(1);
          assertNotNull(again, where);
          allocator.free(again);
        }
      }
    }

    void end() throws Exception {
      onAllThreads(Worker::freeAll);
      passedOn.forEach(allocator::free);
      passedOn.clear();
      visitAllSlots();
      for (int nrLeft = 0; nrLeft != reference.online().size(); ) {
        nrLeft = reference.online().size();
        for (int i = 0; i < 10 * MAX_GROUPS; i++) {
          reference.remove(random);
        }
      }
      root.drain();
      assertEquals(0, root.usage(), where());
      assertEquals(1, reference.online().size(), where());
      assertEquals(1, registry.nrHandles(), where());
      assertEquals(0, registry.nrStocks(), where());
    }

    @Override
    public void close() {
      workers.forEach(worker -> worker.thread.close());
    }
  }

  private static final class Worker {
    final ExecutorService thread = Executors.newSingleThreadExecutor();
    final List<Live> live = new ArrayList<>();
    private final Run run;
    private final Random random;
    private final Deque<ModelScope> mine = new ArrayDeque<>();

    Worker(Run run, Random random) {
      this.run = run;
      this.random = random;
    }

    void work() {
      for (int step = 0; step < NR_STEPS; step++) {
        int dice = random.nextInt(1000);
        if (dice < 60) {
          enter(run.reference.any(random));
        } else if (dice < 120) {
          close();
        } else if (dice < 560) {
          allocate(step);
        } else if (dice < 860) {
          free();
        } else if (dice < 930) {
          moveSomebody();
        } else if (dice < 955) {
          run.reference.create(random, MAX_GROUPS);
        } else if (dice < 980) {
          run.reference.remove(random);
        } else if (dice < 997) {
          run.reference.any(random).group.drain();
        } else {
          dieInAScope(run.reference.any(random));
        }
      }
    }

    void enter(Node node) {
      if (mine.size() < 6) {
        ModelScope scope = new ModelScope(node.handle.enter(), node);
        mine.push(scope);
        run.scopes.add(scope);
      }
    }

    private void close() {
      ModelScope scope = mine.poll();
      if (scope != null) {
        run.scopes.remove(scope);
        scope.scope.close();
      }
    }

    void closeAll() {
      while (!mine.isEmpty()) {
        close();
      }
    }

    private void allocate(int step) {
      ModelScope scope = mine.peek();
      long nrBytes = 1L + random.nextInt(random.nextInt(8) == 0 ? 20_000 : 600);
      int firstMove = scope == null ? 0 : scope.lastMove();
      Live object = run.allocator.tryAllocate(nrBytes);
      if (object == null) {
        return;
      }
      Node payer = run.reference.nodeOf(object.owner());
      Supplier<String> where = () -> run.where() + " step=" + step + " payer=" + payer;
      if (scope == null) {
        assertNull(payer.parent, where);
        return;
      }
      List<Node> targets = scope.targets(firstMove);
      assertTrue(isPayerForOne(payer, targets), () -> where.get() + " targets=" + targets);
      if (payer.parent != null) {
        live.add(object);
      }
    }

    /** Online groups pay for themselves; for removed ones pay they or somebody above. */
    private static boolean isPayerForOne(Node payer, List<Node> targets) {
      for (Node target : targets) {
        if (payer == target || (!target.group.isOnline() && target.isBelow(payer))) {
          return true;
        }
      }
      return false;
    }

    private void free() {
      Live object = random.nextInt(4) == 0 ? run.passedOn.poll() : removeAny();
      if (object == null) {
        return;
      }
      if (random.nextInt(4) == 0) {
        run.passedOn.add(object);
      } else {
        run.allocator.free(object);
      }
    }

    private @Nullable Live removeAny() {
      if (live.isEmpty()) {
        return null;
      }
      int index = random.nextInt(live.size());
      Live object = live.get(index);
      live.set(index, live.get(live.size() - 1));
      live.remove(live.size() - 1);
      return object;
    }

    private void moveSomebody() {
      Object[] candidates = run.scopes.toArray();
      if (candidates.length > 0) {
        ((ModelScope) candidates[random.nextInt(candidates.length)])
            .moveTo(run.reference.any(random));
      }
    }

    private void dieInAScope(Node node) {
      try {
        Thread.ofPlatform()
            .start(() -> {
              node.handle.enter();
              run.reference.any(new Random(run.seed)).handle.enter();
              Live object = run.allocator.tryAllocate(100);
              if (object != null) {
                run.passedOn.add(object);
              }
            })
            .join();
      } catch (InterruptedException e) {
        throw new AssertionError(e);
      }
    }

    void freeAll() {
      closeAll();
      live.forEach(run.allocator::free);
      live.clear();
    }
  }
}
