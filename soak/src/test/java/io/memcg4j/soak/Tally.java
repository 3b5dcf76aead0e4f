package io.memcg4j.soak;

import java.util.EnumMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.atomic.LongAdder;

/** How often what was injected, and how often what was expected came of it. */
final class Tally {
  private static final class Count {
    final LongAdder injected = new LongAdder();
    final LongAdder survived = new LongAdder();
    final LongAdder refused = new LongAdder();
  }

  private final Map<Injection, Count> counts = new EnumMap<>(Injection.class);

  Tally() {
    for (Injection kind : Injection.values()) {
      counts.put(kind, new Count());
    }
  }

  private Count count(Injection kind) {
    Count count = counts.get(kind);
    if (count == null) {
      throw new AssertionError("unknown: " + kind);
    }
    return count;
  }

  void injected(Injection kind) {
    injected(kind, 1);
  }

  void injected(Injection kind, long times) {
    count(kind).injected.add(times);
  }

  /** It came out as expected. */
  void survived(Injection kind) {
    survived(kind, 1);
  }

  void survived(Injection kind, long times) {
    count(kind).survived.add(times);
  }

  /** A limit stood in its way, as limits do. */
  void refused(Injection kind) {
    count(kind).refused.increment();
  }

  long nrInjected(Injection kind) {
    return count(kind).injected.sum();
  }

  /** What nothing has come of yet. */
  long nrOpen(Injection kind) {
    Count count = count(kind);
    return count.injected.sum() - count.survived.sum() - count.refused.sum();
  }

  @Override
  public String toString() {
    StringBuilder text = new StringBuilder();
    text.append(
        String.format(
            Locale.ROOT,
            "%-50s %10s %10s %9s  %s%n",
            "injected",
            "times",
            "survived",
            "refused",
            "expected"));
    for (Injection kind : Injection.values()) {
      Count count = count(kind);
      text.append(
          String.format(
              Locale.ROOT,
              "%-50s %10d %10d %9d  %s%n",
              kind.what,
              count.injected.sum(),
              count.survived.sum(),
              count.refused.sum(),
              kind.expected));
    }
    return text.toString();
  }
}
