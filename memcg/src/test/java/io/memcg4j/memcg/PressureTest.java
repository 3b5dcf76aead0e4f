package io.memcg4j.memcg;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;

/** Totals and averages of {@link PressureAccount}, on a clock that the tests turn. */
class PressureTest {
  private static final long MILLI = 1_000_000;
  private static final long SECOND = 1000 * MILLI;
  private static final double F10 = 1677 / 2048.0;
  private static final double F60 = 1981 / 2048.0;
  private static final double F300 = 2034 / 2048.0;

  // Near the overflow: a clock may start anywhere.
  private final AtomicLong clock = new AtomicLong(Long.MAX_VALUE - SECOND);
  private final PressureTimer timer = new PressureTimer(clock::get, work -> new Thread(() -> {}));
  private final PressureAccount root = new PressureAccount(timer, null);
  private final PressureAccount a = new PressureAccount(timer, root);
  private final PressureAccount ab = new PressureAccount(timer, a);
  private final PressureAccount c = new PressureAccount(timer, root);

  private void pass(long nrNanos) {
    clock.addAndGet(nrNanos);
  }

  private static void assertLine(
      Pressure.Line line, double avg10, double avg60, double avg300, long totalMicros) {
    assertEquals(totalMicros, line.totalMicros());
    assertEquals(avg10, line.avg10(), 1e-9);
    assertEquals(avg60, line.avg60(), 1e-9);
    assertEquals(avg300, line.avg300(), 1e-9);
  }

  @Test
  void toString_unused_isTheKernelsText() {
    assertEquals(
        """
        some avg10=0.00 avg60=0.00 avg300=0.00 total=0
        full avg10=0.00 avg60=0.00 avg300=0.00 total=0\
        """,
        root.pressure().toString());
  }

  @Test
  void parse_ownAndKernelsText_givesTheFigures() {
    Pressure pressure =
        new Pressure(new Pressure.Line(1.5, 2.25, 99.99, 123456), new Pressure.Line(0, 0, 0.5, 7));
    assertEquals(pressure, Pressure.parse(pressure + "\n"));
    assertEquals(Pressure.Line.NONE, Pressure.parse("some " + pressure.some()).full());
    for (String garbage : List.of("", "some", "some avg10=x", pressure + "\nhalf", "\0")) {
      assertThrows(IllegalArgumentException.class, () -> Pressure.parse(garbage), garbage);
    }
  }

  @Test
  void total_insideThePeriod_isUpToDate() {
    a.stallStart();
    pass(1234 * 1000 + 999);
    assertEquals(1234, a.pressure().some().totalMicros());
    assertEquals(1234, a.pressure().full().totalMicros());
    assertLine(a.pressure().some(), 0, 0, 0, 1234);
    pass(1);
    a.stallEnd();
    pass(SECOND / 2);
    assertLine(a.pressure().some(), 0, 0, 0, 1235);
  }

  @Test
  void averages_halfOfOnePeriod_areTheFormula() {
    a.stallStart();
    pass(SECOND);
    a.stallEnd();
    pass(SECOND);
    // 50 % of the first period: 50 * (1 - f).
    assertLine(a.pressure().some(), 50 * (1 - F10), 50 * (1 - F60), 50 * (1 - F300), 1_000_000);
    // Worked out by hand: 50 * 371/2048, 50 * 67/2048, 50 * 14/2048.
    assertEquals(
        "some avg10=9.06 avg60=1.64 avg300=0.34 total=1000000",
        a.pressure().toString().lines().findFirst().orElseThrow());
  }

  @Test
  void averages_idlePeriods_decayInOneGo() {
    a.stallStart();
    pass(2 * SECOND);
    a.stallEnd();
    pass(20 * SECOND + 1);
    assertLine(
        a.pressure().some(),
        100 * (1 - F10) * Math.pow(F10, 10),
        100 * (1 - F60) * Math.pow(F60, 10),
        100 * (1 - F300) * Math.pow(F300, 10),
        2_000_000);
    pass(365L * 86400 * SECOND);
    assertLine(a.pressure().some(), 0, 0, 0, 2_000_000);
  }

  @Test
  void averages_longStallReadOnceOrOften_areTheSame() {
    a.stallStart();
    c.stallStart();
    for (int i = 0; i < 70; i++) {
      pass(100 * MILLI);
      Pressure ignored = c.pressure();
      assertTrue(ignored.some().avg10() <= 100);
    }
    // Three whole periods at 100 %, and half of the fourth.
    assertLine(
        a.pressure().some(),
        100 * (1 - Math.pow(F10, 3)),
        100 * (1 - Math.pow(F60, 3)),
        100 * (1 - Math.pow(F300, 3)),
        7_000_000);
    Pressure.Line often = c.pressure().some();
    assertLine(a.pressure().some(), often.avg10(), often.avg60(), often.avg300(), 7_000_000);
    pass(3600 * SECOND);
    assertEquals("some avg10=100.00 avg60=100.00", a.pressure().toString().substring(0, 30));
  }

  @Test
  void averages_stallAcrossThePeriodsEnd_goToBothPeriods() {
    a.stallStart();
    a.stallEnd(); // the periods of a count from here
    pass(SECOND + SECOND / 2);
    a.stallStart();
    pass(SECOND);
    a.stallEnd();
    pass(SECOND + SECOND / 2);
    double first = 25 * (1 - F10);
    assertEquals(first * F10 + 25 * (1 - F10), a.pressure().some().avg10(), 1e-9);
  }

  @Test
  void stall_inAChild_countsAtAllAncestorsAndNowhereElse() {
    ab.stallStart();
    pass(10 * MILLI);
    c.stallStart();
    pass(10 * MILLI);
    ab.stallEnd();
    pass(10 * MILLI);
    c.stallEnd();
    pass(10 * MILLI);
    assertEquals(20_000, ab.pressure().some().totalMicros());
    assertEquals(20_000, a.pressure().some().totalMicros());
    assertEquals(20_000, c.pressure().some().totalMicros());
    assertEquals(30_000, root.pressure().some().totalMicros());
    assertEquals(0, root.nrStalled());
  }

  @Test
  void full_whileAnotherIsProductive_stands() {
    ab.enter();
    c.stallStart();
    pass(5 * MILLI);
    assertEquals(5000, c.pressure().full().totalMicros());
    assertEquals(0, root.pressure().full().totalMicros());
    ab.leave();
    pass(3 * MILLI);
    assertEquals(3000, root.pressure().full().totalMicros());
    a.enter();
    pass(MILLI);
    c.stallEnd();
    a.leave();
    assertEquals(3000, root.pressure().full().totalMicros());
    assertEquals(9000, root.pressure().some().totalMicros());
    assertEquals(0, ab.pressure().some().totalMicros());
  }

  @Test
  void full_threadThatWaitsInItsScope_isNotProductive() {
    a.enter();
    a.stallStart(a);
    pass(MILLI);
    a.enter(); // another thread
    pass(MILLI);
    a.stallStart(null); // a third, without a scope
    pass(MILLI);
    a.stallEnd(null);
    a.stallEnd(a);
    a.leave();
    pass(MILLI);
    a.leave();
    assertEquals(1000, a.pressure().full().totalMicros());
    assertEquals(3000, a.pressure().some().totalMicros());
  }

  @Test
  void pressure_ofAnInstantBefore_isThatOfTheLastChange() {
    a.stallStart();
    pass(MILLI);
    assertEquals(1000, a.pressure().some().totalMicros());
    assertEquals(1000, a.pressure(clock.get() - MILLI).some().totalMicros());
  }

  /** Rounds of known length with everybody at it: whatever the order, the sums are exact. */
  @Test
  void totals_fourThreads_areExact() throws Exception {
    int nrThreads = 4;
    int nrRounds = 2000;
    PressureAccount[] groups = {ab, a, c, root};
    CyclicBarrier turn = new CyclicBarrier(nrThreads, () -> pass(MILLI));
    AtomicReference<Throwable> failure = new AtomicReference<>();
    List<Thread> threads = new ArrayList<>();
    for (int i = 0; i < nrThreads; i++) {
      PressureAccount group = groups[i];
      threads.add(
          Thread.ofPlatform()
              .start(() -> {
                try {
                  long last = 0;
                  for (int round = 0; round < nrRounds; round++) {
                    for (int burst = 0; burst < 5; burst++) {
                      group.stallStart(); // no time passes
                      group.stallEnd();
                    }
                    group.enter();
                    group.stallStart(group);
                    turn.await(); // a millisecond in which all four wait
                    long total = root.pressure().some().totalMicros();
                    assertTrue(total >= last);
                    last = total;
                    group.stallEnd(group);
                    turn.await(); // one in which nobody does
                    group.leave();
                  }
                } catch (Throwable e) {
                  failure.compareAndSet(null, e);
                }
              }));
    }
    for (Thread thread : threads) {
      thread.join();
    }
    assertEquals(null, failure.get());
    for (PressureAccount group : groups) {
      assertEquals(nrRounds * 1000L, group.pressure().some().totalMicros());
      assertEquals(nrRounds * 1000L, group.pressure().full().totalMicros());
      assertEquals("PressureAccount[stalled=0, productive=0]", group.toString());
    }
  }

  /**
   * One ends while another begins, so that the group switches off and on, or neither; then it is
   * on. A thread that published what it knew before the other's change would leave it off.
   */
  @Test
  void publish_endRacesWithStart_theLastWordCounts() throws Exception {
    int nrRounds = 50_000;
    AtomicLong turn =
        new AtomicLong(); // a round has four: the first is to race, the second to look
    AtomicReference<Throwable> failure = new AtomicReference<>();
    root.stallStart();
    Thread other =
        Thread.ofPlatform()
            .start(() -> {
              for (long round = 0; round < nrRounds && failure.get() == null; round++) {
                awaitTurn(turn, 4 * round + 1);
                race(round % 2 != 0);
                turn.getAndIncrement();
              }
            });
    long expected = 0;
    for (long round = 0; round < nrRounds && failure.get() == null; round++) {
      turn.set(4 * round + 1);
      race(round % 2 == 0);
      awaitTurn(turn, 4 * round + 2);
      pass(MILLI);
      expected += 1000;
      if (root.pressure().some().totalMicros() != expected) {
        failure.set(new AssertionError("round=" + round + " " + root.pressure()));
        turn.set(4 * round + 5);
      }
    }
    other.join();
    assertEquals(null, failure.get());
  }

  private void race(boolean end) {
    if (end) {
      root.stallEnd();
    } else {
      root.stallStart();
    }
  }

  private static void awaitTurn(AtomicLong turn, long wanted) {
    for (int spins = 0; turn.get() < wanted; spins++) {
      if (spins > 1000) {
        Thread.yield();
      } else {
        Thread.onSpinWait();
      }
    }
  }

  /** Real races on a clock that moves with each look: nothing exact, but nothing absurd either. */
  @Test
  void totals_racingClock_neverFallAndNeverPassTheTime() throws Exception {
    AtomicLong ticks = new AtomicLong();
    PressureTimer ticking =
        new PressureTimer(() -> ticks.addAndGet(1000), work -> new Thread(() -> {}));
    PressureAccount top = new PressureAccount(ticking, null);
    PressureAccount leaf = new PressureAccount(ticking, top);
    AtomicReference<Throwable> failure = new AtomicReference<>();
    List<Thread> threads = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      boolean reader = i == 3;
      threads.add(
          Thread.ofPlatform()
              .start(() -> {
                try {
                  long last = 0;
                  for (int round = 0; round < 100_000; round++) {
                    if (reader) {
                      Pressure pressure = top.pressure();
                      long total = pressure.some().totalMicros();
                      assertTrue(total >= last && total <= ticks.get() / 1000);
                      assertTrue(pressure.full().totalMicros() <= total);
                      last = total;
                    } else {
                      leaf.stallStart();
                      leaf.stallEnd();
                    }
                  }
                } catch (Throwable e) {
                  failure.compareAndSet(null, e);
                }
              }));
    }
    for (Thread thread : threads) {
      thread.join();
    }
    assertEquals(null, failure.get());
    long total = top.pressure().some().totalMicros();
    ticks.addAndGet(1_000_000);
    assertEquals(total, top.pressure().some().totalMicros());
    assertTrue(total > 0);
  }
}
