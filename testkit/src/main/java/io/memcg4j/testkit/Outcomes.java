package io.memcg4j.testkit;

import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.openjdk.jcstress.annotations.Expect;
import org.openjdk.jcstress.infra.StateCase;
import org.openjdk.jcstress.infra.TestInfo;
import org.openjdk.jcstress.infra.collectors.TestResult;
import org.openjdk.jcstress.infra.runners.TestList;

/** What was observed of one jcstress test, graded by its {@code @Outcome} annotations. */
final class Outcomes {
  private final TestInfo info;
  private final Map<String, Long> nrByState = new TreeMap<>();

  Outcomes(Class<?> test) {
    this(nameOf(test));
  }

  Outcomes(String name) {
    info = infoOf(name);
  }

  /** The name under which jcstress knows a test. */
  static String nameOf(Class<?> test) {
    String name = test.getCanonicalName();
    return name == null ? test.getName() : name;
  }

  static TestInfo infoOf(String name) {
    if (!TestList.tests().contains(name)) {
      throw new IllegalArgumentException(
          "not a jcstress test: class="
              + name
              + " (expected: annotated with @JCStressTest, and compiled with jcstress's annotation"
              + " processor)");
    }
    return TestList.getInfo(name);
  }

  void add(TestResult result) {
    for (String state : result.getStateKeys()) {
      nrByState.merge(state, result.getCount(state), Long::sum);
    }
  }

  long nrSamples() {
    return nrByState.values().stream().mapToLong(Long::longValue).sum();
  }

  boolean hasInteresting() {
    return has(Expect.ACCEPTABLE_INTERESTING);
  }

  /** Whether an outcome was seen that is forbidden, or that no annotation names. */
  boolean hasForbidden() {
    return has(Expect.FORBIDDEN) || has(Expect.UNKNOWN);
  }

  private boolean has(Expect expect) {
    return nrByState.entrySet().stream()
        .anyMatch(e -> e.getValue() > 0 && caseOf(e.getKey()).expect() == expect);
  }

  // jcstress's own order: an exact match wins over a pattern, whatever comes first.
  private StateCase caseOf(String state) {
    for (StateCase candidate : info.cases()) {
      if (candidate.matchesExactly(state)) {
        return candidate;
      }
    }
    for (StateCase candidate : info.cases()) {
      if (candidate.matches(state)) {
        return candidate;
      }
    }
    return info.unmatched();
  }

  /** How often what was seen, most often first; what shows the bug of a broken twin in bold. */
  String counts() {
    return nrByState.entrySet().stream()
        .sorted(Map.Entry.<String, Long>comparingByValue().reversed())
        .map(e -> {
          String text = String.format(Locale.ROOT, "`%s` %,d", e.getKey(), e.getValue());
          boolean isBug = caseOf(e.getKey()).expect() == Expect.ACCEPTABLE_INTERESTING;
          return isBug ? "**" + text + "**" : text;
        })
        .collect(Collectors.joining(", "));
  }

  @Override
  public String toString() {
    StringBuilder text =
        new StringBuilder("test=%s samples=%d".formatted(info.name(), nrSamples()));
    nrByState.forEach((state, nr) -> {
      StateCase graded = caseOf(state);
      text.append(
          "%n  [%s] %,d x %s: %s".formatted(state, nr, graded.expect(), graded.description()));
    });
    return text.toString();
  }
}
