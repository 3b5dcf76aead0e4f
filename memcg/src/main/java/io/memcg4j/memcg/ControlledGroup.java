package io.memcg4j.memcg;

import static java.lang.invoke.ConstantBootstraps.fieldVarHandle;
import static java.lang.invoke.MethodHandles.lookup;

import java.lang.invoke.VarHandle;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Executor;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * The controls of a group beside its tree and its counter: protection, {@code high}, reclaim,
 * policy, waiting, declared memory, statistics, events. {@link MemCgroup} is the only one.
 */
public abstract sealed class ControlledGroup permits MemCgroup {
  private static final VarHandle CONTROLS =
      fieldVarHandle(
          lookup(), "controls", VarHandle.class, ControlledGroup.class, GroupControls.class);
  private static final VarHandle STAT =
      fieldVarHandle(lookup(), "stat", VarHandle.class, ControlledGroup.class, GroupStat.class);

  private static final VarHandle PRESSURE =
      fieldVarHandle(
          lookup(), "pressure", VarHandle.class, ControlledGroup.class, PressureAccount.class);

  private static final List<ShrinkerRegistration> NO_SHRINKERS = List.of();

  private final EventCounts eventCounts = new EventCounts();
  private volatile @Nullable GroupControls controls;
  private volatile @Nullable GroupStat stat;
  private volatile @Nullable PressureAccount pressure;

  ControlledGroup() {}

  abstract MemCgroup self();

  // ---- protection and high

  /**
   * What reclaim never takes: the group's {@code memory.min}.
   *
   * @return bytes
   */
  public long min() {
    return minPages() << MemCgroup.PAGE_SHIFT;
  }

  /**
   * Protects the group from reclaim that was started above it. A request for memory is rather
   * refused than served from below this line.
   *
   * @param nrBytes at least 0, rounded down to pages
   * @throws IllegalArgumentException if it is negative
   */
  public void setMin(long nrBytes) {
    controls().minPages = pages("memory.min", nrBytes);
  }

  /**
   * What reclaim takes only when there is nothing else: the group's {@code memory.low}.
   *
   * @return bytes
   */
  public long low() {
    return lowPages() << MemCgroup.PAGE_SHIFT;
  }

  /**
   * Protects the group from reclaim that was started above it, as long as others have something to
   * give.
   *
   * @param nrBytes at least 0, rounded down to pages
   * @throws IllegalArgumentException if it is negative
   */
  public void setLow(long nrBytes) {
    controls().lowPages = pages("memory.low", nrBytes);
  }

  /**
   * Above this line requests are slowed and memory is reclaimed: the group's {@code memory.high}.
   *
   * @return bytes; {@link MemCgroup#UNLIMITED} if there is none
   */
  public long high() {
    return MemCgroup.pagesToBytes(highPages());
  }

  /**
   * Sets the line above which requests are slowed. Reclaims at once what is above it, as far as
   * shrinkers give; succeeds in any case.
   *
   * @param nrBytes at least 0, rounded down to pages; {@link MemCgroup#UNLIMITED} for none
   * @throws IllegalArgumentException if it is negative
   */
  public void setHigh(long nrBytes) {
    setHighNoBlock(nrBytes);
    self().drain();
    LimitWrite.reclaimTo(self(), () -> highPages());
  }

  /**
   * As {@link #setHigh} without any reclaim.
   *
   * @param nrBytes at least 0, rounded down to pages; {@link MemCgroup#UNLIMITED} for none
   * @throws IllegalArgumentException if it is negative
   */
  public void setHighNoBlock(long nrBytes) {
    long nrPages = pages("memory.high", nrBytes);
    controls().highPages = nrPages;
    if (nrPages != PageCounter.UNLIMITED_PAGES) {
      self().tree().useHigh();
    }
  }

  long pages(String file, long nrBytes) {
    if (nrBytes < 0) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "%s out of range: group=%s nrBytes=%d legal=0..%d",
              file,
              self().path(),
              nrBytes,
              MemCgroup.UNLIMITED));
    }
    return Math.min(nrBytes >> MemCgroup.PAGE_SHIFT, PageCounter.UNLIMITED_PAGES);
  }

  /**
   * The pause that a request for one batch of pages would have to take now.
   *
   * @return no pause when no group on the path is above its high limit
   */
  public Throttle throttle() {
    return HighLimit.throttle(self(), MemCgroup.CHARGE_BATCH);
  }

  /**
   * Takes a pause that was put off, as a scope that {@code deferThrottle} was asked of does:
   * sleeps, and counts the time as {@link #pressure} of this group. An interrupt or the group's
   * removal ends it early; an interrupt stays set.
   *
   * @param due the pause; none does nothing
   */
  public void pause(Throttle due) {
    if (due.isNeeded()) {
      HighLimit.sleep(self(), due);
    }
  }

  /**
   * For the floors above: what is due after pages were charged above a high limit. Reclaims, and
   * sleeps what is still due. To be called with no operation under way on a slot.
   *
   * @param chargedPages pages charged since the last call
   * @param maySleep false for a caller that honours the pause itself
   * @return the pause that was taken, or that is still to be taken
   */
  public Throttle handleOverHigh(long chargedPages, boolean maySleep) {
    if (Reclaim.isReclaiming()) {
      return Throttle.NONE;
    }
    Throttle throttle = HighLimit.reclaim(self(), chargedPages);
    if (maySleep && throttle.isNeeded()) {
      HighLimit.sleep(self(), throttle);
    }
    return throttle;
  }

  /**
   * A peak that can be reset without disturbing others.
   *
   * @return reads as {@link MemCgroup#peak} until it is reset
   */
  public PeakHandle peakHandle() {
    return new PeakHandle(self(), controls().peakMarks);
  }

  // ---- reclaim and policy

  /**
   * Registers something that can give memory back when this group, or one above it, needs it.
   *
   * @param shrinker called by any thread, one at a time
   * @return close it to take the shrinker out again
   */
  public ShrinkerRegistration addShrinker(Shrinker shrinker) {
    ShrinkerRegistration registration = new ShrinkerRegistration(self(), shrinker);
    controls().add(registration);
    for (MemCgroup group = self(); group != null; group = group.parent()) {
      group.controls().nrShrinkersBelow.incrementAndGet();
    }
    return registration;
  }

  void removeShrinker(ShrinkerRegistration registration) {
    if (controls().shrinkers.remove(registration)) {
      for (MemCgroup group = self(); group != null; group = group.parent()) {
        group.controls().nrShrinkersBelow.decrementAndGet();
      }
    }
  }

  /**
   * The shrinkers of this very group, in the order in which they are asked.
   *
   * @return a view that does not change
   */
  public List<ShrinkerRegistration> shrinkers() {
    GroupControls mine = controls;
    return mine == null ? NO_SHRINKERS : List.copyOf(mine.shrinkers);
  }

  /**
   * Reclaims without need: {@code memory.reclaim}. The group's own protection does not count, that
   * of the groups below does. No event, no pressure.
   *
   * @param nrBytes how much
   * @return what was freed; less than asked for when 16 rounds freed nothing
   */
  public long reclaim(long nrBytes) {
    return LimitWrite.reclaim(self(), nrBytes);
  }

  /**
   * Whether the group is asked to close as a whole, with everything below it, when a victim is
   * chosen in it: {@code memory.oom.group}.
   *
   * @return false unless it was set
   */
  public boolean isOomGroup() {
    GroupControls mine = controls;
    return mine != null && mine.oomGroup;
  }

  /**
   * Sets {@link #isOomGroup}.
   *
   * @param whole whether it closes as a whole
   */
  public void setOomGroup(boolean whole) {
    controls().oomGroup = whole;
  }

  /**
   * Chooses what happens when reclaim frees nothing, for requests that this group's limit, or one
   * below it without a policy of its own, refuses.
   *
   * @param handler the policy; null for that of the parent
   */
  public void setOomHandler(@Nullable OomHandler handler) {
    controls().oomHandler = handler;
  }

  /**
   * Says how the group can be asked to close.
   *
   * @param kill cancels the query, closes the session: whatever frees the group's memory. Runs on a
   *     virtual thread of its own. A group that has released nine tenths of what it used may live
   *     on, and can be asked again.
   * @param deadline how long it may take; nobody else is asked to close meanwhile
   * @param scoreAdjust -1000 (never) to 1000
   * @throws IllegalArgumentException if {@code scoreAdjust} is out of range
   */
  public void setOomKill(Runnable kill, Duration deadline, int scoreAdjust) {
    if (scoreAdjust < OomHandler.NEVER || scoreAdjust > -OomHandler.NEVER) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "oom score adjustment out of range: group=%s scoreAdjust=%d legal=-1000..1000",
              self().path(),
              scoreAdjust));
    }
    controls().victim = new OomVictim(kill, deadline, scoreAdjust);
  }

  boolean hasShrinkersBelow() {
    GroupControls mine = controls;
    return mine != null && mine.nrShrinkersBelow.get() > 0;
  }

  /** Whether there is anything between a refusal of this group and the answer to the caller. */
  boolean canMakeRoom() {
    return hasShrinkersBelow() || OutOfMemory.handlerOf(self()) != OomHandler.FAIL_REQUEST;
  }

  // ---- waiting

  /**
   * Waits for memory: as {@link Charge#set(long)}, but a request that this tree refuses waits until
   * it fits. Requests that wait for the same group are served in the order in which they came.
   *
   * @param charge an open charge of this group
   * @param nrBytes what it shall declare
   * @param timeout how long to wait
   * @return false if the time was over first, or the group was removed meanwhile
   * @throws InterruptedException if interrupted; nothing was charged then
   */
  public boolean setAwait(Charge charge, long nrBytes, Duration timeout)
      throws InterruptedException {
    if (nrBytes <= charge.nrBytes() && charge.trySet(nrBytes)) {
      return true; // gives back, and so waits for nobody
    }
    ChargeMode[] mode = {ChargeMode.NORMAL}; // the policy is asked once, not by each try
    return new RoomWait(self(), RoomWait.deadline(timeout), null)
            .await(() -> {
              MemCgroup refusing = charge.set(nrBytes, mode[0]);
              mode[0] = ChargeMode.RETRY_MAYFAIL;
              return refusing;
            })
        == RoomWait.Outcome.GRANTED;
  }

  /**
   * Waits below this group's limit until an attempt succeeds: for requests that this group refused.
   * First come, first served.
   *
   * @param attempt tries the request once; called by this thread
   * @param timeout how long to wait
   * @return false if the time was over first, or the group was removed meanwhile
   * @throws InterruptedException if interrupted
   */
  public boolean awaitRoom(BooleanSupplier attempt, Duration timeout) throws InterruptedException {
    return new RoomWait(self(), RoomWait.deadline(timeout), null)
            .await(() -> attempt.getAsBoolean() ? null : self())
        == RoomWait.Outcome.GRANTED;
  }

  /**
   * For the floors above: whether any request waits for memory of this group or one above it. While
   * one does, nothing is to be held in advance.
   *
   * @return racy; true from before the drain that a request begins to wait with
   */
  public boolean isRoomAwaited() {
    for (MemCgroup level = self(); level != null; level = level.parent()) {
      if (level.counter().hasWaiters()) {
        return true;
      }
    }
    return false;
  }

  /**
   * As {@link #setAwait}, on a virtual thread.
   *
   * @param charge an open charge of this group
   * @param nrBytes what it shall declare
   * @param timeout how long to wait
   * @return completes with what {@code setAwait} returns; cancelling it does not end the wait
   */
  public CompletionStage<Boolean> setAsync(Charge charge, long nrBytes, Duration timeout) {
    Executor virtual = task -> Thread.ofVirtual().name("memcg4j-wait").start(task);
    return CompletableFuture.supplyAsync(
        () -> {
          try {
            return setAwait(charge, nrBytes, timeout);
          } catch (InterruptedException e) {
            throw new IllegalStateException("interrupted while waiting for memory", e);
          }
        },
        virtual);
  }

  /**
   * Requests that wait below this group's limit. Racy.
   *
   * @return at least 0
   */
  public int nrWaiting() {
    return self().counter().nrWaiting();
  }

  WaitQueue waiters() {
    return self().counter().waiters();
  }

  // ---- pressure

  /**
   * How much of the time threads waited for memory of this group or one below it: in reclaim, in a
   * pause above {@code high}, in the queue for room, or for a victim to close. Full is the part in
   * which they did and no other thread was at work in a scope of the group or one below it: as of
   * looks when a wait begins or ends, every 10 ms in the queue for room, and at each call of this.
   *
   * @return averages over 10, 60 and 300 s, and totals
   */
  public Pressure pressure() {
    PressureAccount mine = pressure;
    if (mine == null) {
      return Pressure.NONE;
    }
    MemStall.look(self());
    return mine.pressure();
  }

  /**
   * Calls back when threads wait longer than a threshold within a window.
   *
   * @param text {@code some|full <threshold in us> <window in us>}, as written to {@code
   *     memory.pressure}
   * @param onPressure called by a thread of the tree, at most once a window
   * @return close it to end the calls; the group's removal ends them too
   * @throws IllegalArgumentException if the text is not legal
   */
  public PressureTrigger onPressure(String text, Consumer<Pressure> onPressure) {
    return pressureAccount().addTrigger(text, onPressure, () -> {});
  }

  PressureAccount pressureAccount() {
    PressureAccount mine = pressure;
    if (mine == null) {
      MemCgroup above = self().parent();
      PressureAccount made =
          new PressureAccount(
              self().tree().pressureTimer(), above == null ? null : above.pressureAccount());
      mine = (PressureAccount) PRESSURE.compareAndExchange(this, null, made);
      mine = mine == null ? made : mine;
    }
    return mine;
  }

  void closePressure() {
    PressureAccount mine = pressure;
    if (mine != null) {
      mine.close();
    }
  }

  // ---- declared memory and statistics

  /**
   * Opens a charge for memory that memcg4j does not allocate itself; 0 bytes at first.
   *
   * @param name for {@link #charges}
   * @param memoryClass where it counts in {@link #stat}
   * @return close it when the memory is gone
   */
  public Charge charge(String name, MemoryClass memoryClass) {
    Charge charge = new Charge(self(), name, memoryClass);
    controls().charges.add(charge);
    return charge;
  }

  /**
   * The charges of this very group that are open.
   *
   * @return a copy
   */
  public List<Charge.Declared> charges() {
    GroupControls mine = controls;
    return mine == null ? List.of() : mine.charges.stream().map(Charge::declared).toList();
  }

  void forget(Charge charge) {
    controls().charges.remove(charge);
  }

  void countDeclared(MemoryClass memoryClass, long deltaBytes, long deltaPages) {
    StatTree tree = self().tree().stat();
    tree.update(self(), memoryClass.item(), deltaBytes);
    if (deltaPages != 0) {
      tree.update(self(), GroupStat.DECLARED_PAGES, deltaPages);
    }
  }

  /**
   * For the floors above: part of what they have charged to this group is of another class than
   * {@link MemoryClass#SLAB}. Costs three atomic additions, no charge.
   *
   * @param memoryClass where it counts in {@link #stat}
   * @param deltaBytes more or, negative, less
   */
  public void countClass(MemoryClass memoryClass, long deltaBytes) {
    StatTree tree = self().tree().stat();
    tree.update(self(), memoryClass.item(), deltaBytes);
    tree.update(self(), GroupStat.CLASSED_BYTES, deltaBytes);
  }

  void countReclaimed(long nrBytes) {
    if (nrBytes > 0) {
      self().tree().stat().update(self(), GroupStat.RECLAIMED_BYTES, nrBytes);
    }
  }

  /**
   * What the group and everything below it uses memory for. At most 2 s old, or {@link
   * MemCgroup#STAT_BOUND_BYTES} behind, whichever comes first.
   *
   * @return sums; {@code slab} is exact as {@link MemCgroup#usage} is
   */
  public MemoryStat stat() {
    self().tree().stat().flushIfStale();
    return readStat();
  }

  /**
   * As {@link #stat}, with everything in it that happened before the call. Cost: the groups of the
   * tree that changed since the last flush.
   *
   * @return sums
   */
  public MemoryStat flush() {
    self().tree().stat().flush();
    return readStat();
  }

  private MemoryStat readStat() {
    GroupStat mine = groupStat();
    long declared = mine.total.get(GroupStat.DECLARED_PAGES) << MemCgroup.PAGE_SHIFT;
    return new MemoryStat(
        Math.max(0, self().usage() - declared - mine.total.get(GroupStat.CLASSED_BYTES)),
        Math.max(0, mine.total.get(MemoryClass.PERCPU.item())),
        Math.max(0, mine.total.get(MemoryClass.VMALLOC.item())),
        Math.max(0, mine.total.get(MemoryClass.HEAP.item())),
        Math.max(0, mine.total.get(MemoryClass.SOCK.item())),
        Math.max(0, mine.total.get(MemoryClass.FOREIGN.item())),
        mine.total.get(GroupStat.RECLAIMED_BYTES));
  }

  GroupStat groupStat() {
    GroupStat mine = stat;
    if (mine == null) {
      GroupStat made = new GroupStat();
      mine = (GroupStat) STAT.compareAndExchange(this, null, made);
      mine = mine == null ? made : mine;
    }
    return mine;
  }

  boolean hasOpenCharges() {
    GroupControls mine = controls;
    return mine != null && !mine.charges.isEmpty();
  }

  // ---- events

  /**
   * What happened here and below.
   *
   * @return exact counts since the group was made
   */
  public MemoryEvents events() {
    return eventCounts.hierarchical();
  }

  /**
   * What happened at this very group.
   *
   * @return exact counts since the group was made
   */
  public MemoryEvents eventsLocal() {
    return eventCounts.local();
  }

  /**
   * Calls a listener when {@link #events} has changed: on a thread of the tree, with the newest
   * counts, at most once in 10 ms. No change is left untold, several may be told at once.
   *
   * @param listener must not block for long; what it throws is logged
   * @return close it to end the calls
   */
  public AutoCloseable addEventListener(Consumer<MemoryEvents> listener) {
    GroupControls mine = controls();
    mine.listeners.add(listener);
    return () -> mine.listeners.remove(listener);
  }

  void notifyListeners() {
    GroupControls mine = controls;
    if (mine != null && !mine.listeners.isEmpty()) {
      self().tree().eventBell().ring(self());
    }
  }

  EventCounts eventCounts() {
    return eventCounts;
  }

  // ---- inside

  GroupControls controls() {
    GroupControls mine = controls;
    if (mine == null) {
      GroupControls made = new GroupControls();
      mine = (GroupControls) CONTROLS.compareAndExchange(this, null, made);
      mine = mine == null ? made : mine;
    }
    return mine;
  }

  @Nullable GroupControls controlsOrNull() {
    return controls;
  }

  long minPages() {
    GroupControls mine = controls;
    return mine == null ? 0 : mine.minPages;
  }

  long lowPages() {
    GroupControls mine = controls;
    return mine == null ? 0 : mine.lowPages;
  }

  long highPages() {
    GroupControls mine = controls;
    return mine == null ? PageCounter.UNLIMITED_PAGES : mine.highPages;
  }

  /** Whether this group or one above it is over its high limit. */
  boolean isPathOverHigh() {
    if (self().tree().usesHigh()) {
      for (MemCgroup group = self(); group != null; group = group.parent()) {
        if (group.isOverHigh()) {
          return true;
        }
      }
    }
    return false;
  }

  boolean isOverHigh() {
    GroupControls mine = controls;
    return mine != null && self().counter().usage() > mine.highPages;
  }
}
