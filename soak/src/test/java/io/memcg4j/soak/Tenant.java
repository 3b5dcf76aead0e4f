package io.memcg4j.soak;

import io.memcg4j.memcg.Charge;
import io.memcg4j.memcg.ChargeMode;
import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryClass;
import io.memcg4j.memcg.MemoryEvents;
import io.memcg4j.memcg.Shrinker;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.slab.ArenaInfo;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.ConcurrentLinkedDeque;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * A group with what the model knows of it: the blocks that were allocated through its handle, and
 * their charge, which stays with the handle when the group is removed.
 */
final class Tenant {
  private static final Duration VICTIM_DEADLINE = Duration.ofMillis(100);
  private static final int VICTIM_DELAY_MILLIS = 30;
  private static final int SHRINKER_DELAY_MILLIS = 120;
  private static final int LISTENER_DELAY_MILLIS = 50;

  final Subject subject;
  final @Nullable Tenant parent;
  final MemCgroup group;
  final ObjCgroup handle;
  final CopyOnWriteArrayList<Tenant> children = new CopyOnWriteArrayList<>();
  final ConcurrentLinkedDeque<Block> blocks = new ConcurrentLinkedDeque<>();
  final Charge declared;

  /** Held while the shape or the limits of this tenant change. */
  final ReentrantLock changing = new ReentrantLock();

  /** What objects, areas and per-CPU memory of the handle are charged. */
  private final AtomicLong nrBytes = new AtomicLong();

  /** At least what open arenas are charged; at most a sixteenth and some more. */
  private final AtomicLong arenaBytes = new AtomicLong();

  private final AtomicLong nrArenas = new AtomicLong();

  volatile boolean isRemoved;
  private long usageWhenSet;
  private MemoryEvents lastEvents = new MemoryEvents(0, 0, 0, 0, 0, 0);

  private Tenant(Subject subject, @Nullable Tenant parent, MemCgroup group) {
    this.subject = subject;
    this.parent = parent;
    this.group = group;
    handle = ObjCgroup.of(group);
    declared = group.charge("declared", MemoryClass.HEAP);
  }

  static Tenant top(Subject subject, MemCgroup group) {
    return new Tenant(subject, null, group);
  }

  /** Null if this one was removed. */
  @Nullable Tenant create(String name, int kind) {
    changing.lock();
    try {
      if (isRemoved) {
        return null;
      }
      Tenant child = new Tenant(subject, this, group.create(name));
      // Before others find it: whoever finds it may remove it.
      child.misbehave(kind);
      children.add(child);
      return child;
    } finally {
      changing.unlock();
    }
  }

  /** Removes the group, if it has no children. The charge is closed before or, for now, not. */
  boolean remove(boolean closesCharge) {
    changing.lock();
    try {
      if (isRemoved || parent == null || children.stream().anyMatch(child -> !child.isRemoved)) {
        return false;
      }
      isRemoved = true;
      if (closesCharge) {
        declared.close();
      }
      group.remove();
      return true;
    } finally {
      changing.unlock();
    }
  }

  // ---- what it does to the system

  private void misbehave(int kind) {
    Injection victim =
        switch (kind % 3) {
          case 0 -> Injection.VICTIM_FREES;
          case 1 -> Injection.VICTIM_SLOW;
          default -> Injection.VICTIM_THROWS;
        };
    group.setOomKill(() -> close(victim), VICTIM_DEADLINE, 0);
    switch (kind % 5) {
      case 0 -> group.addShrinker(new Cache(Injection.SHRINKER_THROWS));
      case 1 -> group.addShrinker(new Cache(Injection.SHRINKER_LIES));
      case 2 -> group.addShrinker(new Cache(Injection.SHRINKER_SLEEPS));
      case 3 -> group.addShrinker(new Cache(null));
      default -> {}
    }
    switch (kind % 7) {
      case 0 -> listen(Injection.LISTENER_THROWS);
      case 1 -> listen(Injection.LISTENER_BLOCKS);
      case 2 ->
          group.onPressure(
              "some 1000 500000",
              pressure -> {
                answered(Injection.TRIGGER_THROWS);
                throw new IllegalStateException(Failure.INJECTED);
              });
      default -> {}
    }
  }

  private void listen(Injection injection) {
    var _ =
        group.addEventListener(events -> {
          answered(injection);
          if (injection == Injection.LISTENER_THROWS) {
            throw new IllegalStateException(Failure.INJECTED);
          }
          sleep(LISTENER_DELAY_MILLIS);
        });
  }

  /** Nothing else can be told of it than that everything goes on. */
  private void answered(Injection injection) {
    subject.tally.injected(injection);
    subject.tally.survived(injection);
  }

  private void close(Injection victim) {
    subject.gate.enterWithin();
    try {
      answered(victim);
      if (victim == Injection.VICTIM_THROWS) {
        throw new IllegalStateException(Failure.INJECTED);
      }
      if (victim == Injection.VICTIM_SLOW) {
        sleep(VICTIM_DELAY_MILLIS);
      }
      freeUpTo(Long.MAX_VALUE);
    } finally {
      subject.gate.exit();
    }
  }

  static void sleep(int millis) {
    try {
      Thread.sleep(millis);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Gives blocks back; or, by what is injected, does not. */
  private final class Cache implements Shrinker {
    private final @Nullable Injection injection;

    Cache(@Nullable Injection injection) {
      this.injection = injection;
    }

    @Override
    public long count() {
      return injection == Injection.SHRINKER_LIES ? 1 << 20 : nrBytes.get();
    }

    @Override
    public long scan(long wantedBytes) {
      if (injection != null) {
        answered(injection);
      }
      if (injection == Injection.SHRINKER_THROWS) {
        throw new IllegalStateException(Failure.INJECTED);
      }
      if (injection == Injection.SHRINKER_LIES) {
        return wantedBytes;
      }
      subject.gate.enterWithin();
      try {
        if (injection == Injection.SHRINKER_SLEEPS) {
          sleep(SHRINKER_DELAY_MILLIS);
        }
        return freeUpTo(wantedBytes);
      } finally {
        subject.gate.exit();
      }
    }
  }

  // ---- blocks

  void add(Block block) {
    if (block.kind() == BlockKind.ARENA) {
      arenaBytes.addAndGet(block.chargeBytes());
      nrArenas.incrementAndGet();
    } else {
      nrBytes.addAndGet(block.chargeBytes());
    }
    blocks.addLast(block);
  }

  void free(Block block, boolean isDeferred) {
    subject.free(block, isDeferred);
    if (block.kind() == BlockKind.ARENA) {
      arenaBytes.addAndGet(-block.chargeBytes());
      nrArenas.decrementAndGet();
    } else {
      nrBytes.addAndGet(-block.chargeBytes());
    }
  }

  long freeUpTo(long wantedBytes) {
    long freed = 0;
    while (freed < wantedBytes) {
      Block block = blocks.pollFirst();
      if (block == null) {
        return freed;
      }
      free(block, false);
      freed += block.chargeBytes();
    }
    return freed;
  }

  /** The model is told of a charge that there is not. For a test of the checks. */
  void lie(long chargeBytes) {
    nrBytes.addAndGet(chargeBytes);
  }

  // ---- limits

  void setMax(long bytes, boolean maySleep) {
    changing.lock();
    try {
      group.setMaxNoBlock(bytes);
      // Nothing is granted any more while it is above, so this only falls.
      usageWhenSet = group.usage();
    } finally {
      changing.unlock();
    }
    if (maySleep) {
      group.setMax(group.max());
    }
  }

  boolean declare(long bytes) {
    return declared.set(bytes, ChargeMode.NOWAIT) == null;
  }

  // ---- checks

  static long ceilToPage(long bytes) {
    return (bytes + MemCgroup.PAGE_SIZE - 1) & -MemCgroup.PAGE_SIZE;
  }

  /** What this handle and those below it are charged, while nobody allocates or frees: least. */
  private long least() {
    long sum = ceilToPage(nrBytes.get() + arenaBytes.get()) + ceilToPage(declared.nrBytes());
    for (Tenant child : children) {
      sum += child.least();
    }
    return sum;
  }

  private long uncertain() {
    long arenas = nrArenas.get();
    long sum = arenas == 0 ? 0 : arenaBytes.get() / 16 + arenas * 64 + MemCgroup.PAGE_SIZE;
    sum += withMetadata(ArenaInfo.waitingBytes(subject.kmalloc, group));
    for (Tenant child : children) {
      sum += child.uncertain();
    }
    return sum;
  }

  /** What arenas that were closed are charged at most until their session ends. */
  static long withMetadata(long waitingBytes) {
    return waitingBytes == 0 ? 0 : waitingBytes + waitingBytes / 8 + MemCgroup.PAGE_SIZE;
  }

  /** What waits in groups that the model knows. */
  long waitingBytes() {
    long sum = ArenaInfo.waitingBytes(subject.kmalloc, group);
    for (Tenant child : children) {
      sum += child.waitingBytes();
    }
    return sum;
  }

  /** Those below that were removed. */
  private long nrRemovedBelow() {
    long sum = 0;
    for (Tenant child : children) {
      sum += child.nrRemovedBelow() + (child.isRemoved ? 1 : 0);
    }
    return sum;
  }

  /**
   * While nobody allocates or frees. A handle rounds up to a page. Where a group was removed while
   * threads were in its scopes, some of what the model has here is its parent's; and the handle of
   * a removed group of which nothing is left keeps a page until its words are collected.
   *
   * @param look what is known of the moment
   * @return how many groups were compared to the byte
   */
  int checkUsage(Look look) {
    int nrExact = 0;
    if (!isRemoved) {
      long usage = group.usage();
      long moved = nrRemovedBelow() * MemCgroup.PAGE_SIZE;
      long least = least() - moved;
      long most =
          least()
              + moved
              + uncertain()
              + look.waitingBytes()
              + look.nrEmptyHandles() * MemCgroup.PAGE_SIZE;
      SoakChecks.usage(describe(0), usage, least, most);
      nrExact = least == most ? 1 : 0;
      long sumOfChildren = 0;
      for (MemCgroup child : group.children()) {
        sumOfChildren += child.usage();
      }
      SoakChecks.family(group.path(), usage, sumOfChildren);
    }
    if (parent == null) {
      long declaredBelow = declaredBytes();
      SoakChecks.usage("stat heap", group.flush().heap(), declaredBelow, declaredBelow);
    }
    for (Tenant child : children) {
      nrExact += child.checkUsage(look);
    }
    return nrExact;
  }

  /**
   * What lets a group be charged more than the model says.
   *
   * @param waitingBytes freed, and charged until readers have left, or sessions of arenas of groups
   *     that the model has forgotten have ended
   * @param nrEmptyHandles of removed groups of which the model has forgotten everything
   */
  record Look(long waitingBytes, long nrEmptyHandles) {}

  /** What the model has of this one and those below. */
  private String describe(int depth) {
    StringBuilder text =
        new StringBuilder(
            String.format(
                Locale.ROOT,
                "%n%s%s%s usage=%d max=%d bytes=%d arenas=%d arenaBytes=%d declared=%d",
                "  ".repeat(depth),
                group.path(),
                isRemoved ? " (removed)" : "",
                group.usage(),
                group.max(),
                nrBytes.get(),
                nrArenas.get(),
                arenaBytes.get(),
                declared.nrBytes()));
    children.forEach(child -> text.append(child.describe(depth + 1)));
    return text.toString();
  }

  private long declaredBytes() {
    long sum = declared.nrBytes();
    for (Tenant child : children) {
      sum += child.declaredBytes();
    }
    return sum;
  }

  /** At any time. */
  void checkLimit() {
    if (changing.tryLock()) {
      try {
        if (!isRemoved) {
          SoakChecks.limit(group.path(), group.usage(), group.max(), usageWhenSet);
          if (group.usage() <= group.max()) {
            usageWhenSet = 0;
          }
        }
      } finally {
        changing.unlock();
      }
    }
    children.forEach(Tenant::checkLimit);
  }

  /** By one thread. */
  void checkEvents() {
    MemoryEvents now = group.events();
    SoakChecks.monotonic(group.path(), lastEvents, now);
    lastEvents = now;
    children.forEach(Tenant::checkEvents);
  }

  void checkContents(int mostBlocks) {
    blocks.stream().limit(mostBlocks).forEach(Block::check);
    children.forEach(child -> child.checkContents(mostBlocks));
  }

  /** Forgets removed tenants of whom nothing is left. While nobody is at work. */
  void forgetEmpty() {
    children.forEach(Tenant::forgetEmpty);
    for (Tenant child : children) {
      if (child.isRemoved
          && child.children.isEmpty()
          && child.blocks.isEmpty()
          && child.declared.nrBytes() == 0
          && child.nrBytes.get() == 0
          && child.arenaBytes.get() == 0) {
        child.declared.close();
        children.remove(child);
      }
    }
  }

  /** Removed tenants and others, this one too. */
  void forEach(Consumer<Tenant> visitor) {
    visitor.accept(this);
    children.forEach(child -> child.forEach(visitor));
  }

  List<Tenant> all() {
    List<Tenant> all = new ArrayList<>();
    forEach(all::add);
    return all;
  }

  @Override
  public String toString() {
    return group.path();
  }
}
