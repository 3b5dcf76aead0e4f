package io.memcg4j.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** That each subject does the work of each case; how long that takes is nobody's business here. */
final class PeersBenchTest {
  private static final Map<PeerCase, Set<String>> METRICS =
      Map.of(
          PeerCase.PAIRS, Set.of(PeersFork.PAIR, PeersFork.HEAP),
          PeerCase.HELD, Set.of(PeersFork.ALLOC, PeersFork.WRITE, PeersFork.FREE, PeersFork.HEAP),
          PeerCase.RANDOM, Set.of(PeersFork.REPLACE),
          PeerCase.HANDOFF, Set.of(PeersFork.HANDOFF),
          PeerCase.REPLAY, Set.of(PeersFork.EVENT),
          PeerCase.VTHREADS, Set.of(PeersFork.THREAD, PeersFork.EMPTY_THREAD),
          PeerCase.LIMIT, Set.of(PeersFork.PAIR, PeersFork.REFUSAL, PeersFork.NULL_REFUSAL),
          PeerCase.MEMORY, Set.of(PeersFork.MEMORY));

  /** LWJGL needs Unsafe, which this JVM denies: it has a test with a fork of its own. */
  static Stream<PeerSubject> subjectsOfThisJvm() {
    return PeerSubject.KNOWN.stream()
        .filter(subject -> !subject.isNative() && !subject.name().startsWith("lwjgl"));
  }

  static Stream<PeerSubject> subjectsOfC() {
    return PeerSubject.KNOWN.stream().filter(PeerSubject::isNative);
  }

  private static List<String> tinyCases(PeerSubject subject, PeerCase kind) {
    return subject.cases().contains(kind) ? kind.cases(true) : List.of();
  }

  private static void assertMetrics(
      PeerSubject subject, PeerCase kind, List<String> cases, Map<String, Double> found) {
    boolean freed = !subject.name().equals("arena-auto") && !subject.name().equals("direct-buffer");
    for (String caseName : cases) {
      for (String metric : METRICS.getOrDefault(kind, Set.of())) {
        if (metric.equals(PeersFork.NULL_REFUSAL) && !subject.name().startsWith("memcg4j")) {
          assertFalse(found.containsKey(caseName + ":" + metric), found::toString);
          continue;
        }
        boolean ofJavaOnly = metric.equals(PeersFork.HEAP);
        if ((ofJavaOnly && subject.isNative()) || (metric.equals(PeersFork.FREE) && !freed)) {
          assertFalse(found.containsKey(caseName + ":" + metric), found::toString);
          continue;
        }
        double value = found.getOrDefault(caseName + ":" + metric, -1.0);
        boolean anyIsFine = ofJavaOnly;
        assertTrue(
            anyIsFine ? value > -1 && value < 1e6 : value > 0 && value < 1e9,
            () -> subject.name() + " " + caseName + " " + metric + ": " + found);
      }
    }
  }

  @ParameterizedTest
  @MethodSource("subjectsOfThisJvm")
  void eachSubject_doesEachOfItsCases(PeerSubject subject) throws InterruptedException {
    for (PeerCase kind : PeerCase.values()) {
      List<String> cases = tinyCases(subject, kind);
      if (!cases.isEmpty() && kind != PeerCase.MEMORY) {
        String[] args = {
          PeersBench.NAME, String.join(",", cases), subject.name(), "1", PeersPlan.TINY.name()
        };
        assertMetrics(subject, kind, cases, PeersFork.measure(args));
      }
    }
  }

  @ParameterizedTest
  @MethodSource("subjectsOfC")
  void eachAllocatorOfC_doesEachOfItsCasesWhereItIsInstalled(PeerSubject subject)
      throws IOException, InterruptedException {
    try (NativePeers natives = new NativePeers()) {
      String reason = natives.whyNot(subject);
      assumeTrue(reason.isEmpty(), reason);
      for (PeerCase kind : PeerCase.values()) {
        List<String> cases = tinyCases(subject, kind);
        if (!cases.isEmpty()) {
          assertMetrics(
              subject, kind, cases, natives.run(subject.name(), cases, 1, PeersPlan.TINY));
        }
      }
    }
  }

  /** Two processes: one that may use Unsafe, and one whose heap is resident from the start. */
  @Test
  void forks_getTheOptionsOfTheirSubjectAndCase() throws IOException, InterruptedException {
    PeerSubject lwjgl = PeerSubject.of("lwjgl-jemalloc");
    if (lwjgl.whyNot().isEmpty()) {
      assertMetrics(
          lwjgl, PeerCase.PAIRS, List.of("pairs/64"), fork(lwjgl, PeerCase.PAIRS, "pairs/64"));
    }
    PeerSubject ours = PeerSubject.of(PeerSubject.OURS);
    double memory = fork(ours, PeerCase.MEMORY, "memory/64").getOrDefault("memory/64:memory", 0.0);
    assertTrue(memory >= 1 && memory < 1.6, () -> "memory=" + memory);
  }

  private static Map<String, Double> fork(PeerSubject subject, PeerCase kind, String caseName)
      throws IOException, InterruptedException {
    return Fork.run(subject.options(kind), PeersBench.NAME, caseName, subject.name(), "1", "QUICK");
  }

  @Test
  void nativePeer_thatIsNotThere_isSkippedWithTheReason() throws IOException, InterruptedException {
    IllegalStateException e =
        assertThrows(
            IllegalStateException.class,
            () -> NativeProgram.compile(NativePeers.PROGRAM, List.of("-lno-such-allocator")));
    assertTrue(String.valueOf(e.getMessage()).contains("no-such-allocator"), e::toString);
    try (NativePeers natives = new NativePeers()) {
      assertThrows(
          IllegalStateException.class,
          () -> natives.run("c-jemalloc", List.of("pairs/64"), 1, PeersPlan.TINY));
    }
  }

  @Test
  void nativeProgram_linkedWithAnother_refuses() throws IOException, InterruptedException {
    PeerSubject glibc = PeerSubject.of("c-glibc");
    try (NativePeers natives = new NativePeers()) {
      assumeTrue(natives.whyNot(glibc).isEmpty());
      try (NativeProgram program = NativeProgram.compile(NativePeers.PROGRAM, List.of())) {
        List<String> arguments =
            new ArrayList<>(List.of("jemalloc", "pairs/64", "1", "0", "0", "0", "9", "1", "."));
        IllegalStateException e =
            assertThrows(IllegalStateException.class, () -> program.run(Map.of(), arguments));
        assertTrue(String.valueOf(e.getMessage()).contains("another allocator"), e::toString);
      }
    }
  }

  @Test
  void cases_ofAPlan_areOfTheirKind() {
    for (PeerCase kind : PeerCase.values()) {
      assertTrue(kind.cases(false).containsAll(kind.cases(true)), kind.text());
      assertEquals(1, kind.cases(true).size(), kind.text());
      kind.cases(false).forEach(name -> assertEquals(kind, PeerCase.of(name)));
    }
    assertThrows(IllegalArgumentException.class, () -> PeerCase.of("nothing/1"));
  }

  @Test
  void unknownSubjectOrCase_isToldWithTheKnownOnes() {
    CommandRun run = CommandRun.of("bench", "peers", "--subject", "nobody");
    assertEquals(Main.BAD_INPUT, run.exitCode());
    assertTrue(run.err().contains("known=" + PeerSubject.names()), run.err());
    assertEquals(Main.BAD_INPUT, CommandRun.of("bench", "peers", "--case", "nothing").exitCode());
    run = CommandRun.of("bench", "peers", "--case", "replay", "--subject", "arrow-root");
    assertEquals(Main.BAD_INPUT, run.exitCode());
    assertTrue(run.err().contains("nothing to measure"), run.err());
    assertTrue(run.err().contains("case=replay subjects=[arrow-root]"), run.err());
  }
}
