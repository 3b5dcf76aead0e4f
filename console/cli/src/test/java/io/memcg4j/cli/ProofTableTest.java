package io.memcg4j.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What the script makes of the rows that proofs leave. */
final class ProofTableTest {
  @TempDir private Path root;
  private Path script;

  @BeforeEach
  void copyScript() throws IOException {
    script =
        Files.copy(
            CommandLineTest.script(), root.resolve("memcg4j"), StandardCopyOption.COPY_ATTRIBUTES);
  }

  private void row(String module, String text) throws IOException {
    Path folder = Files.createDirectories(root.resolve(module).resolve("target/proof"));
    Files.writeString(Files.createTempFile(folder, "proof", ".row"), text + "\n");
  }

  private String run(int status, String... args) throws IOException, InterruptedException {
    List<String> command = new ArrayList<>(List.of(script.toString(), "proof-table"));
    command.addAll(List.of(args));
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(status, process.waitFor(), out);
    return out;
  }

  @Test
  void summary_rowsOfOneTest_areOneRowForEachKindOfHeaders() throws Exception {
    row("a", "| OneStress | Works | holds | 1,250,000 | `1` 1,250,000 | long | default |");
    row("a", "| OneStress | Again | holds | 2,000,000 | `1` 2,000,000 | long | default |");
    row("b", "| OneStress | Twin | breaks | 49,999 | **`0` 1** | long | default |");
    row("b", "| OneStress | Works | holds | 7 | `1` 7 | long | compact |");
    assertEquals(
        """
        | test | effort, headers | holds: cases, samples | twins caught: samples until then |
        |---|---|---|---|
        | `OneStress` | long, default | 2, 3.2 M | Twin 49999 |
        | `OneStress` | long, compact | 1, 7 |  |

        Cases that hold: 3. Broken twins caught: 1.
        """,
        run(0, "--summary"));
  }

  @Test
  void table_hasAllRowsSorted_andIsKept() throws Exception {
    row("b", "| TwoStress | Works | holds | 7 | `1` 7 | long | default |");
    row("a", "| OneStress | Works | holds | 7 | `1` 7 | long | default |");
    String table = run(0);
    assertEquals(4, table.lines().count());
    assertTrue(table.indexOf("OneStress") < table.indexOf("TwoStress"), table);
    assertEquals(table, Files.readString(root.resolve("target/proof-results.md")));
  }

  @Test
  void noResults_andWrongArguments_areErrors() throws Exception {
    assertTrue(run(1).contains("no results yet"));
    assertTrue(run(1, "--summary").contains("no results yet"));
    assertTrue(run(2, "--no-such").contains("--no-such"));
  }
}
