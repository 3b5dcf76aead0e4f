package io.memcg4j.memcg;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * A seeded schedule of threads that enter, wait and leave, against a reference that only counts.
 */
class PressureModelTest {
  private static final long MILLI = 1_000_000;
  private static final int NR_STEPS = 6000;

  /** Adds up every single millisecond, and every period on its own. */
  private static final class Reference {
    final @Nullable Reference parent;
    final PressureAccount account;
    int nrStalled;
    int nrProductive;
    boolean begun;
    int nrMillis;
    final int[] inPeriod = new int[2];
    final long[] total = new long[2];
    final double[][] avg = new double[2][3];

    Reference(PressureTimer timer, @Nullable Reference parent) {
      this.parent = parent;
      this.account = new PressureAccount(timer, parent == null ? null : parent.account);
    }

    void count(int stalled, int productive) {
      for (Reference level = this; level != null; level = level.parent) {
        level.nrStalled += stalled;
        level.nrProductive += productive;
        level.begun |= level.nrStalled > 0;
      }
    }

    void millisecond() {
      if (!begun) {
        return;
      }
      boolean[] on = {nrStalled > 0, nrStalled > 0 && nrProductive == 0};
      nrMillis++;
      for (int i = 0; i < 2; i++) {
        if (on[i]) {
          total[i] += 1000;
          inPeriod[i]++;
        }
        if (nrMillis % 2000 == 0) {
          double percent = inPeriod[i] / 20.0;
          double[] factors = {1677 / 2048.0, 1981 / 2048.0, 2034 / 2048.0};
          for (int f = 0; f < 3; f++) {
            avg[i][f] = avg[i][f] * factors[f] + percent * (1 - factors[f]);
          }
          inPeriod[i] = 0;
        }
      }
    }

    void check(String where) {
      Pressure pressure = account.pressure();
      Pressure.Line[] lines = {pressure.some(), pressure.full()};
      for (int i = 0; i < 2; i++) {
        assertEquals(total[i], lines[i].totalMicros(), where);
        assertEquals(avg[i][0], lines[i].avg10(), 1e-6, where);
        assertEquals(avg[i][1], lines[i].avg60(), 1e-6, where);
        assertEquals(avg[i][2], lines[i].avg300(), 1e-6, where);
      }
      assertEquals(nrStalled, account.nrStalled(), where);
    }
  }

  /** One thread: in a scope or not, waiting or not. */
  private static final class Worker {
    @Nullable Reference scope;
    @Nullable Reference waitsFor;

    void step(Reference group, int dice) {
      Reference stalled = waitsFor;
      Reference entered = scope;
      if (stalled != null) {
        stalled.account.stallEnd(entered == null ? null : entered.account);
        stalled.count(-1, 0);
        if (entered != null) {
          entered.count(0, 1);
        }
        waitsFor = null;
      } else if (dice < 50) {
        group.account.stallStart(entered == null ? null : entered.account);
        group.count(1, 0);
        if (entered != null) {
          entered.count(0, -1);
        }
        waitsFor = group;
      } else if (entered != null) {
        entered.account.leave();
        entered.count(0, -1);
        scope = null;
      } else {
        group.account.enter();
        group.count(0, 1);
        scope = group;
      }
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 20261121, -77})
  void randomSchedule_agreesWithTheReference(long seed) {
    Random random = new Random(seed);
    AtomicLong clock = new AtomicLong(random.nextLong());
    PressureTimer timer = new PressureTimer(clock::get, work -> new Thread(() -> {}));
    List<Reference> groups = new ArrayList<>();
    groups.add(new Reference(timer, null));
    for (int i = 0; i < 5; i++) {
      groups.add(new Reference(timer, groups.get(random.nextInt(groups.size()))));
    }
    List<Worker> workers = List.of(new Worker(), new Worker(), new Worker());
    for (int step = 0; step < NR_STEPS; step++) {
      String where = "seed=" + seed + " step=" + step;
      workers
          .get(random.nextInt(workers.size()))
          .step(groups.get(random.nextInt(groups.size())), random.nextInt(100));
      int nrMillis =
          switch (random.nextInt(100)) {
            case 0 -> random.nextInt(60_000);
            case 1, 2, 3, 4 -> 2000;
            default -> random.nextInt(300);
          };
      for (int i = 0; i < nrMillis; i++) {
        groups.forEach(Reference::millisecond);
      }
      clock.addAndGet(nrMillis * MILLI);
      if (random.nextInt(3) == 0) {
        groups.get(random.nextInt(groups.size())).check(where);
      }
    }
    groups.forEach(group -> group.check("seed=" + seed));
  }
}
