package io.memcg4j.testkit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The row of a proof is there exactly when its last run has succeeded. */
final class ProofTest {
  private static final String WHAT = "a|b c";

  private final Path row = ProofRow.file(ProofTest.class, WHAT);

  @AfterEach
  void removeRow() throws IOException {
    Files.deleteIfExists(row); // it is no result
  }

  @Test
  void holds_writesARow() throws IOException {
    Proof.begin(ProofTest.class, WHAT).holds(1234567, "x|y");
    String effort = Effort.chosen().toString();
    assertEquals(
        "| ProofTest | a\\|b c | holds | 1,234,567 | x\\|y | " + effort + " | default |",
        Files.readString(row).strip());
  }

  @Test
  void begin_forgetsTheLastRun() {
    Proof.begin(ProofTest.class, WHAT).breaks(1, "");
    assertTrue(Files.exists(row));
    Proof.begin(ProofTest.class, WHAT);
    assertFalse(Files.exists(row));
  }
}
