package io.memcg4j.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.slab.FaultKind;
import io.memcg4j.slab.FaultSettings;
import io.memcg4j.slab.Kmalloc;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A real program's trace with failures at every so manieth allocation, and in debug modes. */
final class FaultReplayTest {
  private static final String TRACE = "sqlite-oltp";

  /** Of the trace, where each event costs microseconds. */
  private static final int NR_SLOW_EVENTS = 20_000;

  private static Trace trace;

  @BeforeAll
  static void parse() throws TraceException {
    trace = TraceParser.parse(TraceFiles.find(TRACE));
  }

  /** One replay of the first events; what is lost by it is asserted to be nothing. */
  private static int replay(int nrEvents, String debug, @Nullable FaultSettings faults) {
    MemCgroup root = MemCgroup.root();
    MemCgroup group = root.create("tenant");
    try (Kmalloc kmalloc = Kmalloc.create(root)) {
      kmalloc.debug().set(debug);
      if (faults != null) {
        kmalloc.faults().set(faults);
      }
      CheckedEvents events = new CheckedEvents(trace);
      try (Scope scope = ObjCgroup.of(group).enter()) {
        Kmalloc.Bound bound = kmalloc.bind(scope);
        events.run(bound, 0, nrEvents);
        events.freeAll(bound);
      }
      kmalloc.faults().off();
      kmalloc.debug().set("");
      kmalloc.shrink();
      root.drain();
      assertEquals(0, kmalloc.info().nrObjects(), "objects left");
      assertEquals(0, group.usage(), "drift of the tenant");
      assertEquals(0, root.usage(), "drift of the root");
      assertEquals(0, kmalloc.info().mappedBytes(), "memory left");
      assertEquals(0, kmalloc.info().nrBadFrees(), "bad frees");
      assertEquals(0, kmalloc.reports().nrReports(), "reports of corruption");
      return events.nrRefused();
    } finally {
      group.remove();
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {2, 3, 7, 50, 1000, 20_011})
  void faultAtEveryKthAllocation_leavesNoDrift(long k) {
    int nrRefused = replay(trace.nrEvents(), "", FaultSettings.of(FaultKind.SLAB).withInterval(k));
    assertTrue(nrRefused > 0, "no failure at all: k=" + k);
  }

  @ParameterizedTest
  @ValueSource(longs = {2, 7, 1000})
  void faultAtEveryKthCharge_leavesNoDrift(long k) {
    int nrRefused =
        replay(trace.nrEvents(), "", FaultSettings.of(FaultKind.CHARGE).withInterval(k));
    assertTrue(nrRefused > 0, "no failure at all: k=" + k);
  }

  @Test
  void pagesRefusedHalfTheTime_leavesNoDrift() {
    FaultSettings half = FaultSettings.of(FaultKind.PAGES).withProbability(50).withSeed(1);
    int nrRefused = replay(trace.nrEvents(), "", half);
    assertTrue(nrRefused < trace.nrEvents(), "nothing was granted");
  }

  @ParameterizedTest
  @ValueSource(strings = {"F", "Z", "P", "U", "Q", "FZPUQ"})
  void debugMode_leavesNoDriftAndRefusesNothing(String flags) {
    assertEquals(0, replay(NR_SLOW_EVENTS, flags, null));
  }

  @ParameterizedTest
  @CsvSource({"F, 3", "Z, 5", "P, 7", "U, 11", "Q, 13", "FZPUQ, 2", "FZPUQ, 17"})
  void debugModeWithFaults_leavesNoDrift(String flags, long k) {
    FaultSettings settings = FaultSettings.of(FaultKind.SLAB, FaultKind.CHARGE).withInterval(k);
    assertTrue(replay(NR_SLOW_EVENTS, flags, settings) > 0, "no failure at all");
  }
}
