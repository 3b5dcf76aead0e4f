package io.memcg4j.memcg;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Triggers and their timer. The clock is the test's; where there is a thread, it is joined. */
class PressureTriggerTest {
  private static final long MILLI = 1_000_000;
  private static final String TENTH_OF_A_SECOND = "some 100000 1000000";

  private final AtomicLong clock = new AtomicLong(-5 * MILLI);
  private final PressureTimer byHand = new PressureTimer(clock::get, work -> new Thread(() -> {}));
  private final PressureAccount root = new PressureAccount(byHand, null);
  private final PressureAccount group = new PressureAccount(byHand, root);
  private final List<Pressure> events = new ArrayList<>();

  private PressureTrigger add(String text) {
    return group.addTrigger(text, events::add, () -> {});
  }

  private boolean pass(long nrMillis) {
    clock.addAndGet(nrMillis * MILLI);
    return group.poll(clock.get());
  }

  private void stall(long nrMillis) {
    group.stallStart();
    clock.addAndGet(nrMillis * MILLI);
    group.stallEnd();
    group.poll(clock.get());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "some",
        "some 1",
        "half 1 1",
        "SOME 1 1",
        "some 0 1000",
        "some 1001 1000",
        "some 1 0",
        "some 1 10000001",
        "some -1 10",
        "some 1 2 3",
        "some 1us 2us",
        "some 99999999999999999999 99999999999999999999",
        "some\0 1\n 1"
      })
  void parse_illegal_namesTextAndWhatIsLegal(String text) {
    IllegalArgumentException e =
        assertThrows(IllegalArgumentException.class, () -> add(text), text);
    assertTrue(e.getMessage().contains(text.replaceAll("[\0\n]", "?")), e.getMessage());
    assertTrue(e.getMessage().contains("windowUs=1..10000000"), e.getMessage());
    assertFalse(byHand.isRunning());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"some 1 1", "full 10000000 10000000", " some\t150000  2000000\n", "full 1 2"})
  void parse_legal_isKept(String text) {
    assertEquals(text.strip().replaceAll("\\s+", " "), add(text).toString());
  }

  @Test
  void trigger_belowTheThreshold_isQuiet() {
    add(TENTH_OF_A_SECOND);
    stall(99);
    assertEquals(List.of(), events);
    pass(910); // 1.009 s: the window is over, the next one begins
    pass(691);
    stall(50); // of the 99 ms three tenths still overlap
    assertEquals(List.of(), events);
  }

  @Test
  void trigger_atTheThreshold_firesWithTheFigures() {
    PressureTrigger trigger = add(TENTH_OF_A_SECOND);
    stall(60);
    pass(100);
    stall(40);
    assertEquals(1, events.size());
    assertEquals(100_000, events.get(0).some().totalMicros());
    assertEquals(1, trigger.nrFired());
  }

  @Test
  void trigger_duringOneLongWait_firesOncePerWindow() {
    add(TENTH_OF_A_SECOND);
    group.stallStart();
    for (int i = 0; i < 51; i++) { // at 100 ms, 1.1 s, 2.1 s .. 5.1 s
      assertTrue(pass(100));
    }
    assertEquals(6, events.size());
    group.stallEnd();
  }

  @Test
  void trigger_breachDuringHoldOff_firesLater() {
    add(TENTH_OF_A_SECOND);
    stall(100);
    stall(200);
    assertEquals(1, events.size());
    pass(799);
    assertEquals(1, events.size());
    assertTrue(group.poll(clock.get()), "pending is a reason to look again");
    pass(1);
    assertEquals(2, events.size());
    pass(5000);
    assertEquals(2, events.size());
    assertFalse(pass(5000));
  }

  @Test
  void trigger_acrossWindows_countsThePartThatStillOverlaps() {
    add(TENTH_OF_A_SECOND);
    stall(80);
    pass(919);
    pass(2); // 1.001 s: a new window, with the 80 ms as growth of the last one
    pass(249);
    // Three quarters of 80 ms, and 40: the threshold, if only just.
    group.stallStart();
    clock.addAndGet(MILLI);
    group.poll(clock.get());
    assertEquals(0, events.size());
    group.stallEnd();
    stall(54);
    // 55 + 80 * 0.696: over.
    assertEquals(1, events.size());
  }

  @Test
  void trigger_full_ignoresSome() {
    add("full 1000 100000");
    group.enter();
    stall(50);
    assertEquals(0, events.size());
    group.leave();
    stall(50);
    assertEquals(1, events.size());
  }

  @Test
  void trigger_atTheParent_seesTheChildren() {
    root.addTrigger("some 1000 100000", events::add, () -> {});
    stall(1);
    root.poll(clock.get());
    assertEquals(1, events.size());
  }

  @Test
  void trigger_earlierWaits_doNotCount() {
    stall(5000);
    add(TENTH_OF_A_SECOND);
    pass(10);
    stall(10);
    assertEquals(0, events.size());
  }

  @Test
  void callback_thatThrows_isCountedAndHarmsNobody() {
    PressureTrigger bad =
        group.addTrigger(
            "some 1 1",
            p -> {
              throw new AssertionError("on purpose");
            },
            () -> {
              throw new IllegalStateException("on purpose");
            });
    PressureTrigger good = add("some 1 1");
    stall(1);
    stall(1);
    assertEquals(2, bad.nrFailed());
    assertEquals(2, bad.nrFired());
    assertEquals(2, good.nrFired());
    group.close();
    assertEquals(3, bad.nrFailed());
    assertEquals(0, good.nrFailed());
  }

  @Test
  void close_ofTheTrigger_endsEventsWithoutOnClosed() {
    AtomicLong closed = new AtomicLong();
    PressureTrigger trigger = group.addTrigger("some 1 1", events::add, closed::getAndIncrement);
    stall(1);
    trigger.close();
    trigger.close();
    stall(1);
    assertEquals(1, events.size());
    assertFalse(trigger.isOpen());
    group.close();
    assertEquals(0, closed.get());
  }

  @Test
  void close_byTheCallback_isFine() {
    AtomicReference<PressureTrigger> self = new AtomicReference<>();
    self.set(
        group.addTrigger(
            "some 1 1",
            p -> {
              events.add(p);
              self.get().close();
            },
            () -> {}));
    add("some 1 1");
    stall(1);
    stall(1);
    assertEquals(3, events.size());
  }

  @Test
  void close_ofTheGroup_tellsTriggersOnceAndRefusesNewOnes() {
    AtomicLong closed = new AtomicLong();
    PressureTrigger trigger = group.addTrigger("some 1 1", events::add, closed::getAndIncrement);
    group.stallStart();
    group.close();
    group.close();
    assertEquals(1, closed.get());
    assertFalse(trigger.isOpen());
    clock.addAndGet(MILLI);
    group.poll(clock.get());
    group.stallEnd(); // may still end, and counts
    assertEquals(0, events.size());
    assertEquals(1000, root.pressure().some().totalMicros());
    assertThrows(IllegalStateException.class, () -> add("some 1 1"));
  }

  @Test
  void timer_thread_existsOnlyWhileThereAreTriggers() throws Exception {
    List<Thread> threads = new ArrayList<>();
    PressureTimer timer =
        new PressureTimer(
            clock::get,
            work -> {
              threads.add(PressureTimer.daemon(work));
              return threads.getLast();
            });
    PressureAccount top = new PressureAccount(timer, null);
    PressureAccount leaf = new PressureAccount(timer, top);
    leaf.stallStart();
    leaf.stallEnd();
    assertFalse(timer.isRunning());
    PressureTrigger first = top.addTrigger("some 1 1", p -> {}, () -> {});
    PressureTrigger second = leaf.addTrigger("some 1 1", p -> {}, () -> {});
    assertEquals(1, threads.size());
    assertTrue(threads.get(0).isDaemon());
    first.close();
    assertTrue(timer.isRunning());
    second.close();
    threads.get(0).join();
    assertFalse(timer.isRunning());
    leaf.addTrigger("some 1 1", p -> {}, () -> {});
    assertEquals(2, threads.size());
    leaf.close();
    threads.get(1).join();
    assertFalse(timer.isRunning());
  }

  /** A wait gets through to a thread that sleeps, and to one that is about to. */
  @Test
  void timer_waits_areSeenWithoutPolling() throws Exception {
    AtomicReference<Thread> thread = new AtomicReference<>();
    PressureTimer timer =
        new PressureTimer(
            clock::get,
            work -> {
              thread.set(PressureTimer.daemon(work));
              return thread.get();
            });
    PressureAccount leaf = new PressureAccount(timer, new PressureAccount(timer, null));
    for (int i = 0; i < 20; i++) {
      CountDownLatch told = new CountDownLatch(1);
      PressureTrigger trigger = leaf.addTrigger("some 1 1000", p -> told.countDown(), () -> {});
      while (i % 4 == 3 && thread.get().getState() != Thread.State.WAITING) {
        Thread.yield(); // until it has seen nothing ten times, and sleeps without a limit
      }
      leaf.stallStart();
      clock.addAndGet(MILLI);
      leaf.stallEnd();
      told.await();
      trigger.close();
    }
  }
}
