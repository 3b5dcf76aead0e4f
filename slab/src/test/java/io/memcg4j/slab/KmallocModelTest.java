package io.memcg4j.slab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryLimitException;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.percpu.CpuSlots;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.atomic.AtomicReferenceArray;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Random operations against a map of the live objects: none overlaps another, each keeps its
 * contents, every charge is the sum that the map says, and with one thread every refusal is one
 * that the limits demand.
 */
final class KmallocModelTest {
  private static final int MAX_LIVE = 3000;

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 20261121, -8})
  void randomOperations_oneThread_agreeWithTheModel(long seed) throws Exception {
    new Model(seed, 1, CpuSlots.create(3, 2)).run(12, 1500);
  }

  /** Without slots for scopes every operation takes the general way. */
  @ParameterizedTest
  @ValueSource(longs = {4, 5})
  void randomOperations_oneThreadWithoutSlots_agreeWithTheModel(long seed) throws Exception {
    new Model(seed, 1, CpuSlots.create(0, 2)).run(6, 1500);
  }

  @ParameterizedTest
  @ValueSource(longs = {6, 7, 8})
  void randomOperations_eightThreads_agreeWithTheModel(long seed) throws Exception {
    new Model(seed, 8, CpuSlots.create(6, 3)).run(6, 1500);
  }

  /** A live object, as the model knows it. */
  private record Live(
      long address, long nrBytes, long usableBytes, long charge, ObjCgroup owner, long tag) {
    void write() {
      for (long offset : places()) {
        Instance.write(address, offset, (int) (tag + offset));
      }
    }

    void check(long upTo, Model model) {
      for (long offset : places()) {
        if (offset < upTo) {
          assertEquals(
              (byte) (tag + offset), Instance.read(address, offset), () -> model.where() + this);
        }
      }
    }

    private long[] places() {
      return new long[] {0, nrBytes / 3, nrBytes / 2, Math.max(0, nrBytes - 8), nrBytes - 1};
    }
  }

  private static final class Model {
    final long seed;
    final int nrThreads;
    final Instance instance;
    final Kmalloc kmalloc;
    final KmemCache cache;
    final ConcurrentSkipListMap<Long, Live> live = new ConcurrentSkipListMap<>();
    final Map<ObjCgroup, AtomicLong> charges = new ConcurrentHashMap<>();
    final List<MemCgroup> groups = new ArrayList<>(); // guarded by itself
    final AtomicReferenceArray<@Nullable Scope> scopes;
    final AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();
    int nrNames;
    int phase;

    Model(long seed, int nrThreads, CpuSlots slots) {
      this.seed = seed;
      this.nrThreads = nrThreads;
      this.instance = Instance.of(slots);
      this.kmalloc = instance.kmalloc;
      this.cache = KmemCache.create(kmalloc, "model", 136, 8);
      this.scopes = new AtomicReferenceArray<>(nrThreads);
      groups.add(instance.root);
      for (int i = 0; i < 6; i++) {
        create(new Random(seed));
      }
    }

    String where() {
      return "seed=" + seed + " nrThreads=" + nrThreads + " phase=" + phase + " ";
    }

    void run(int nrPhases, int nrSteps) throws Exception {
      CyclicBarrier barrier = new CyclicBarrier(nrThreads);
      List<FutureTask<Void>> tasks = new ArrayList<>();
      List<Thread> threads = new ArrayList<>();
      for (int t = 0; t < nrThreads; t++) {
        Worker worker = new Worker(this, t);
        tasks.add(
            new FutureTask<>(() -> {
              try {
                for (int p = 0; p < nrPhases; p++) {
                  worker.steps(nrSteps);
                  worker.closeScopes();
                  barrier.await(120, TimeUnit.SECONDS);
                  if (worker.index == 0) {
                    checkAll();
                    phase++;
                  }
                  barrier.await(120, TimeUnit.SECONDS);
                }
              } catch (Throwable e) {
                failure.compareAndSet(null, e);
                threads.forEach(Thread::interrupt); // nobody shall wait for this one
              }
              return null;
            }));
      }
      tasks.forEach(task -> threads.add(new Thread(task, "model")));
      threads.forEach(Thread::start);
      for (FutureTask<Void> task : tasks) {
        Instance.await(task);
      }
      if (failure.get() != null) {
        throw new AssertionError(where(), failure.get());
      }
      Worker last = new Worker(this, 0);
      while (!live.isEmpty()) {
        last.free(kmalloc::free);
      }
      checkAll();
      cache.close();
      instance.assertNothingLeft();
      synchronized (groups) {
        while (groups.size() > 1) {
          groups.removeLast().remove();
        }
      }
      assertEquals(1, instance.registry().nrHandles(), () -> where() + "handles left");
      instance.close();
    }

    /** Parents come before their children. */
    void create(Random random) {
      synchronized (groups) {
        MemCgroup parent = groups.get(random.nextInt(groups.size()));
        groups.add(parent.create("g" + nrNames++));
      }
    }

    void remove(Random random) {
      synchronized (groups) {
        MemCgroup group = groups.get(random.nextInt(groups.size()));
        if (group != instance.root && group.children().isEmpty() && groups.size() > 4) {
          group.remove();
          groups.remove(group);
        }
      }
    }

    MemCgroup group(Random random) {
      synchronized (groups) {
        return groups.get(random.nextInt(groups.size()));
      }
    }

    boolean isCharged(ObjCgroup owner) {
      return owner.id() != ObjCgroup.ROOT_ID;
    }

    void charge(ObjCgroup owner, long nrBytes) {
      if (isCharged(owner)) {
        charges.computeIfAbsent(owner, o -> new AtomicLong()).addAndGet(nrBytes);
      }
    }

    void add(Live object) {
      Map.Entry<Long, Live> below =
          live.floorEntry(object.address + Math.max(1, object.usableBytes) - 1);
      if (below != null
          && below.getValue().address + below.getValue().usableBytes > object.address) {
        fail(where() + "overlap: " + object + " with " + below.getValue());
      }
      object.write();
      charge(object.owner, object.charge);
      assertEquals(null, live.put(object.address, object), this::where); // now others may free it
    }

    /** What a group must read when nothing is held in advance. */
    long expectedUsage(MemCgroup group) {
      long sum = 0;
      for (Map.Entry<ObjCgroup, AtomicLong> entry : charges.entrySet()) {
        if (entry.getKey().group().isDescendantOf(group)) {
          sum += Instance.roundToPages(entry.getValue().get());
        }
      }
      return sum;
    }

    /** Whether the limits leave no room for a new object of this payer. */
    boolean mustRefuse(ObjCgroup payer, long charge) {
      if (!isCharged(payer)) {
        return false;
      }
      AtomicLong sum = charges.get(payer);
      long before = sum == null ? 0 : sum.get();
      long more = Instance.roundToPages(before + charge) - Instance.roundToPages(before);
      for (MemCgroup g = payer.group(); g != null; g = g.parent()) {
        if (g.max() != MemCgroup.UNLIMITED && more > 0 && expectedUsage(g) + more > g.max()) {
          return true;
        }
      }
      return false;
    }

    void checkAll() {
      live.values().forEach(object -> object.check(Long.MAX_VALUE, this));
      assertEquals(live.size(), kmalloc.info().nrObjects(), this::where);
      assertEquals(0, kmalloc.info().nrBadFrees(), this::where);
      instance.root.drain();
      synchronized (groups) {
        for (MemCgroup group : groups) {
          assertEquals(expectedUsage(group), group.usage(), () -> where() + group);
        }
      }
      charges.values().removeIf(sum -> sum.get() == 0);
      assertEquals(0, instance.root.slots().nrBusy(), this::where);
    }
  }

  private static final class Worker {
    final Model model;
    final Kmalloc kmalloc;
    final int index;
    final Random random;
    final Deque<Scope> open = new ArrayDeque<>();
    Kmalloc.@Nullable Bound bound;

    Worker(Model model, int index) {
      this.model = model;
      this.kmalloc = model.kmalloc;
      this.index = index;
      this.random = new Random(model.seed * 31 + index);
    }

    boolean alone() {
      return model.nrThreads == 1;
    }

    String where() {
      return model.where() + "thread=" + index + " ";
    }

    void steps(int nrSteps) {
      for (int i = 0; i < nrSteps; i++) {
        step(random.nextInt(1000));
      }
    }

    private void step(int dice) {
      if (dice < 420) {
        if (model.live.size() < MAX_LIVE) {
          allocate();
        } else {
          freeSome();
        }
      } else if (dice < 760) {
        freeSome();
      } else if (dice < 850) {
        reallocate();
      } else if (dice < 900) {
        enter();
      } else if (dice < 945) {
        leave();
      } else if (dice < 955) {
        model.group(random).drain();
      } else if (dice < 957) {
        kmalloc.shrink();
      } else if (dice < 967) {
        setMax();
      } else if (dice < 972) {
        model.create(random);
      } else if (dice < 977) {
        model.remove(random);
      } else if (dice < 987) {
        move();
      } else {
        badFree();
      }
    }

    private int size() {
      return switch (random.nextInt(8)) {
        case 0, 1, 2 -> 1 + random.nextInt(128);
        case 3, 4 -> 1 + random.nextInt(1024);
        case 5 -> 1 + random.nextInt(9000);
        case 6 -> 64;
        default -> random.nextInt(4) == 0 ? 1 + random.nextInt(200_000) : 1 + random.nextInt(9000);
      };
    }

    private void allocate() {
      int size = size();
      int form = random.nextInt(8);
      ObjCgroup payer = payer();
      long address;
      long charge;
      if (form == 7) {
        size = 136;
        charge = model.cache.chargeBytes();
        address = model.cache.tryAllocate();
      } else {
        charge = Instance.chargeOf(size);
        address = allocate(form, size);
      }
      if (address == Kmalloc.NULL) {
        if (alone() && form != 3) {
          int asked = size;
          long cost = charge;
          assertTrue(
              model.mustRefuse(payer, charge),
              () -> where() + "refused for no reason: size=" + asked + " charge=" + cost);
        }
        freeSome();
        return;
      }
      if (form == 3) {
        charge = chargeOf(address); // the alignment may ask for more than the size does
      } else if (alone() && model.mustRefuse(payer, charge)) {
        fail(where() + "granted over a limit: size=" + size + " payer=" + payer);
      }
      add(address, size, charge, alone() ? payer : null);
    }

    private long allocate(int form, int size) {
      Kmalloc.Bound mine = bound;
      if (mine != null && random.nextInt(3) > 0) {
        return switch (form) {
          case 0 -> checkZero(mine.tryAllocateZeroed(size), size);
          case 3 -> mine.tryAllocateAligned(size, 1L << random.nextInt(17));
          default -> mine.tryAllocate(size);
        };
      }
      return switch (form) {
        case 0 -> checkZero(kmalloc.tryAllocateZeroed(size), size);
        case 1 -> {
          try {
            yield kmalloc.allocate(size);
          } catch (MemoryLimitException e) {
            assertFalse(e.limitedBy().equals(MemoryLimitException.OS), e::getMessage);
            yield Kmalloc.NULL;
          }
        }
        case 3 -> kmalloc.tryAllocateAligned(size, 1L << random.nextInt(17));
        default -> kmalloc.tryAllocate(size);
      };
    }

    private long checkZero(long address, int size) {
      for (long offset = 0; address != Kmalloc.NULL && offset < size; offset += 61) {
        assertEquals(0, Instance.read(address, offset), this::where);
      }
      return address;
    }

    /** Who has to pay for the next allocation of this thread, if nobody else moves its scopes. */
    private ObjCgroup payer() {
      Scope scope = open.peek();
      if (scope == null) {
        return model.instance.registry().rootHandle();
      }
      if (alone()) {
        scope.resync(); // a move that is still to be noticed would change the answer
      }
      if (scope.frame().holdsSlot()) {
        return scope.frame().stock().handle(); // stays, also when its group is removed
      }
      ObjCgroup payer = scope.current();
      return payer.refs().isDying() ? ObjCgroup.of(payer.group()) : payer;
    }

    private void add(long address, long nrBytes, long charge, @Nullable ObjCgroup payer) {
      Slab slab = model.instance.allocator().slabOf(address);
      ObjCgroup owner =
          slab.large
              ? slab.largeOwner
              : assertOwned(slab.wordOf(slab.indexOf(address)).ownerAcquire()).handle();
      assertNotNull(owner, this::where);
      if (payer != null) {
        assertSame(payer, owner, this::where);
      }
      long usable = kmalloc.usableSize(address);
      assertTrue(usable >= nrBytes, this::where);
      model.add(new Live(address, nrBytes, usable, charge, owner, random.nextInt(1 << 20)));
    }

    private Magazines assertOwned(@Nullable Magazines magazines) {
      if (magazines == null) {
        throw new AssertionError(where() + "object without owner");
      }
      return magazines;
    }

    private long chargeOf(long address) {
      Slab slab = model.instance.allocator().slabOf(address);
      return slab.large ? slab.nrPages * Instance.PAGE : slab.chargeBytes;
    }

    private @Nullable Live take() {
      if (model.live.isEmpty()) {
        return null;
      }
      SlabRange range = model.instance.allocator().range();
      long from = range.base() + random.nextLong(1 << 24);
      Map.Entry<Long, Live> entry = model.live.ceilingEntry(from);
      if (entry == null) {
        entry = model.live.firstEntry();
      }
      return entry == null ? null : model.live.remove(entry.getKey());
    }

    private interface Free {
      void free(long address);
    }

    private void freeSome() {
      Kmalloc.Bound mine = bound;
      Free free = mine != null && random.nextInt(3) > 0 ? mine::free : kmalloc::free;
      free(free);
    }

    void free(Free free) {
      Live object = take();
      if (object != null) {
        object.check(Long.MAX_VALUE, model);
        free.free(object.address);
        model.charge(object.owner, -object.charge);
        if (alone() && random.nextInt(20) == 0) {
          assertThrows(
              IllegalArgumentException.class, () -> free.free(object.address), this::where);
        }
      }
    }

    private void reallocate() {
      Live object = take();
      if (object == null) {
        return;
      }
      int size = size();
      boolean large = model.instance.allocator().slabOf(object.address).large;
      Kmalloc.Bound mine = bound;
      long address =
          mine != null && random.nextBoolean()
              ? mine.tryReallocate(object.address, size)
              : kmalloc.tryReallocate(object.address, size);
      if (address == Kmalloc.NULL) {
        object.check(Long.MAX_VALUE, model);
        model.live.put(object.address, object);
        return;
      }
      Live moved = new Live(address, object.nrBytes, 0, 0, object.owner, object.tag);
      moved.check(size, model);
      model.charge(object.owner, -object.charge);
      if (address != object.address) {
        add(address, size, Instance.chargeOf(size), null);
      } else {
        long charge = large ? Instance.roundToPages(size) : object.charge;
        long usable = kmalloc.usableSize(address);
        model.add(new Live(address, size, usable, charge, object.owner, random.nextInt(1 << 20)));
      }
    }

    private void enter() {
      if (open.size() < 4) {
        Scope scope = ObjCgroup.of(model.group(random)).enter();
        open.push(scope);
        bound = random.nextBoolean() ? kmalloc.bind(scope) : null;
        model.scopes.set(index, scope);
      }
    }

    private void leave() {
      Scope scope = open.poll();
      if (scope != null) {
        scope.close();
        bound = null;
        model.scopes.set(index, open.peek());
      }
    }

    void closeScopes() {
      while (!open.isEmpty()) {
        leave();
      }
    }

    private void setMax() {
      MemCgroup group = model.group(random);
      group.setMax(
          switch (random.nextInt(4)) {
            case 0 -> MemCgroup.UNLIMITED;
            case 1 -> group.usage();
            case 2 -> random.nextInt(4 << 20);
            default -> group.usage() + random.nextInt(1 << 20);
          });
    }

    private void move() {
      Scope scope = model.scopes.get(random.nextInt(model.nrThreads));
      if (scope != null) {
        scope.moveTo(ObjCgroup.of(model.group(random)));
      }
    }

    /** Of an object that nobody else frees meanwhile. */
    private void badFree() {
      Live object = take();
      if (object == null) {
        return;
      }
      long offset = 1 + random.nextLong(Math.max(1, object.usableBytes - 1));
      assertThrows(
          IllegalArgumentException.class,
          () -> kmalloc.free(object.address + offset),
          () -> where() + object + " offset=" + offset);
      object.check(Long.MAX_VALUE, model);
      model.live.put(object.address, object);
    }
  }
}
