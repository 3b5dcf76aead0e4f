package io.memcg4j.soak;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemoryEvents;
import io.memcg4j.slab.Kmalloc;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.function.LongUnaryOperator;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** Each check of the soak test is shown something that is wrong, and sees it. */
final class SoakChecksTest {
  private static final int MOST_SECONDS = 40;
  private static final long SECOND = TimeUnit.SECONDS.toNanos(1);

  private static void assertCaught(String message, Executable check) {
    SoakViolation caught = assertThrows(SoakViolation.class, check);
    assertTrue(String.valueOf(caught.getMessage()).contains(message), caught::toString);
  }

  /** Runs everything with something wrong from the third second on. */
  private static void assertSoakCatches(String message, Soak.Sabotage sabotage) {
    Soak soak = new Soak(7, MOST_SECONDS, sabotage);
    AssertionError caught = assertThrows(AssertionError.class, soak::run);
    assertTrue(String.valueOf(caught.getMessage()).contains(message), caught::toString);
    assertTrue(String.valueOf(caught.getMessage()).contains("seed=7 second="), caught::toString);
  }

  @BeforeAll
  static void keepInjectedFailuresQuiet() {
    Failure.keepInjectedQuiet();
  }

  private static Soak.Sabotage once(Consumer<Soak> defect) {
    return (soak, turn) -> {
      if (turn == 3) {
        defect.accept(soak);
      }
    };
  }

  @Test
  void modelThatSaysAPageMore_isCaught() {
    assertSoakCatches(
        "usage is not that of the model",
        once(soak -> soak.subject.tenants.all().forEach(tenant -> tenant.lie(4096))));
  }

  @Test
  void memoryThatTheModelDoesNotKnow_isCaught() {
    // Not a leak, as the address stays referenced; and more than slots may hold in advance.
    long[] held = new long[1];
    assertSoakCatches(
        "usage is not that of the model",
        once(soak -> {
          try (var _ = soak.subject.tenants.handle.enter()) {
            held[0] = soak.subject.kmalloc.allocate(8 << 20);
          }
        }));
  }

  @Test
  void blockThatNobodyPointsTo_isCaught() {
    assertSoakCatches("reported, and no leak", once(soak -> soak.subject.kmalloc.allocate(777)));
  }

  @Test
  void contentsThatAreOverwritten_areCaught() {
    assertSoakCatches(
        "contents lost",
        (soak, turn) -> {
          if (turn >= 3) {
            // Any block will do; it is looked at when it is freed, or in the next second.
            for (Tenant tenant : soak.subject.tenants.all()) {
              Block block = tenant.blocks.peekFirst();
              if (block != null && block.kind() == BlockKind.AREA) {
                Kmalloc.MEMORY.set(ValueLayout.JAVA_LONG, block.address(), ~block.tag());
              }
            }
          }
        });
  }

  @Test
  void usageAboveTheLimit_isCaught() {
    SoakChecks.limit("/a", 4096, 4096, 0);
    SoakChecks.limit("/a", 8192, 4096, 8192);
    assertCaught("limit exceeded", () -> SoakChecks.limit("/a", 8192, 4096, 0));
    assertCaught("limit exceeded", () -> SoakChecks.limit("/a", 12288, 4096, 8192));
  }

  @Test
  void childrenThatUseMoreThanTheirParent_areCaught() {
    SoakChecks.family("/a", 4096, 4096);
    assertCaught("children use more", () -> SoakChecks.family("/a", 4096, 8192));
  }

  @Test
  void eventsThatGoBack_areCaught() {
    MemoryEvents before = new MemoryEvents(1, 1, 1, 1, 1, 1);
    SoakChecks.monotonic("/a", before, before);
    assertCaught(
        "events went back",
        () -> SoakChecks.monotonic("/a", before, new MemoryEvents(1, 1, 0, 2, 2, 2)));
  }

  @Test
  void leakThatIsNotFound_isCaught() {
    SoakChecks.found("block", 4, 4);
    assertCaught("leak not found", () -> SoakChecks.found("block", 5, 4));
  }

  @Test
  void threadThatDoesNotMove_isCaught() {
    SoakChecks.moves("t", 5, 5, "work");
    assertCaught("thread is stuck", () -> SoakChecks.moves("t", 6, 5, "work"));
  }

  /** Two minutes of resident bytes. */
  private static List<Long> resident(LongUnaryOperator bytesBySecond) {
    List<Long> values = new ArrayList<>();
    for (long second = 0; second < 120; second++) {
      values.add(bytesBySecond.applyAsLong(second));
    }
    return values;
  }

  @Test
  void residentMemoryThatGrows_isCaught() {
    LongUnaryOperator warmUp = second -> (300L << 20) - ((200L << 20) >> Math.min(60, second));
    LongUnaryOperator noise = second -> (second * 7919 % 13) << 20;
    SoakChecks.flat(resident(second -> warmUp.applyAsLong(second) + noise.applyAsLong(second)));
    assertCaught(
        "resident memory grows",
        () ->
            SoakChecks.flat(
                resident(second ->
                    warmUp.applyAsLong(second) + noise.applyAsLong(second) + second * (3 << 19))));
  }

  @Test
  void waiterThatIsNeverWoken_isCaught() {
    SoakChecks.LostWakeup lost = new SoakChecks.LostWakeup(5 * SECOND);
    for (long second = 0; second < 60; second++) {
      lost.look(second * SECOND, 2, second % 4 == 0, 0); // room comes and goes
      lost.look(second * SECOND, second % 3 == 0 ? 0 : 1, true, 0); // waiters come and go
    }
    for (long second = 60; second < 120; second++) {
      lost.look(second * SECOND, 2, true, second); // they are granted
    }
    assertDoesNotThrow(() -> lost.look(124 * SECOND, 2, true, 119));
    assertCaught("wake-up lost", () -> lost.look(125 * SECOND, 2, true, 119));
  }
}
