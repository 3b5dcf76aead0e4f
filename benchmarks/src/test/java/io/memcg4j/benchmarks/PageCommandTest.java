package io.memcg4j.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.benchmarks.ResultFile.Skipped;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class PageCommandTest {
  private static final Path HOME = home();

  @TempDir private Path folder;

  private static Path home() {
    Path here = Path.of("").toAbsolutePath();
    return Files.exists(here.resolve("memcg4j")) ? here : here.resolve("..").normalize();
  }

  private static ResultFile results() {
    List<Figure> figures = new ArrayList<>();
    for (String subject : List.of("memcg4j", "c-glibc")) {
      figures.add(figure("pairs/64", subject, PeersFork.PAIR, 4));
      figures.add(figure("held/64", subject, PeersFork.ALLOC, 2));
      figures.add(figure("held/64", subject, PeersFork.FREE, 3));
      for (String name : PeerCase.REPLAY.cases(false)) {
        figures.add(figure(name, subject, PeersFork.EVENT, name.endsWith("jq-group") ? 64 : 1));
      }
    }
    return new ResultFile(
        Map.of("run", "peers", "cpu", "A \"quoted\" \\ CPU", "command", "./memcg4j bench peers"),
        figures,
        List.of(new Skipped("c-tcmalloc", "cannot find -ltcmalloc")));
  }

  private static Figure figure(String caseName, String subject, String metric, double value) {
    Double ratio = subject.equals("memcg4j") ? null : 1.5;
    // Forks of the one differ by more than is certain.
    double most = metric.equals(PeersFork.FREE) ? 1.5 : 1.25;
    Figure.Spread spread = new Figure.Spread(value, value * most);
    return new Figure("peers", caseName, subject, metric, value, "ns", spread, ratio);
  }

  @Test
  void resultFile_roundTrip() throws IOException {
    Path file = folder.resolve("results.jsonl");
    results().write(file);
    assertEquals(results(), ResultFile.read(file));
    Files.writeString(file, "{\"run\":\"peers\"}\nnonsense\n");
    assertThrows(UsageError.class, () -> ResultFile.read(file));
    assertThrows(UsageError.class, () -> ResultFile.read(folder.resolve("missing")));
  }

  @Test
  void page_hasWhatWasMeasuredAndNothingElse() {
    PeersPage page = new PeersPage(results());
    String full = page.full();
    assertTrue(full.contains("| memcg4j |  | 4.00 |"), full);
    assertTrue(full.contains("2.00 + ≈ 3.00"), full);
    assertTrue(full.contains("≈ stands where"), full);
    assertTrue(full.contains("| c-glibc | 1.00 | 1.00 | 1.00 | 64.0 | 1.00 | 1.00 | 2.00 |"), full);
    assertTrue(full.contains("c-tcmalloc (cannot find -ltcmalloc)"), full);
    assertFalse(full.contains("netty"), full);
    assertTrue(page.brief().contains("| c-glibc | 4.00 | 2.00 + ≈ 3.00 |"), page.brief());
    assertEquals(
        List.of("peers-pairs.svg", "peers-held.svg", "peers-replay.svg"),
        List.copyOf(page.charts().keySet()));
  }

  @Test
  void part_isReplacedBetweenItsComments() {
    String page = "a\n<!-- generated: x -->\nold\n<!-- end: x -->\nb\n";
    String once = GeneratedPart.replace(page, "x", "new");
    assertEquals("a\n<!-- generated: x -->\n\nnew\n\n<!-- end: x -->\nb\n", once);
    assertEquals(once, GeneratedPart.replace(once, "x", "new"));
    assertThrows(UsageError.class, () -> GeneratedPart.replace(page, "y", "new"));
  }

  /** The pages in the project say what the results in the project say. */
  @Test
  void committedPages_areWhatTheCommandMakes() throws Exception {
    for (Map.Entry<Path, String> file : PageCommand.pages(HOME).entrySet()) {
      assertEquals(
          Files.readString(file.getKey()),
          file.getValue(),
          "run ./memcg4j bench page: " + file.getKey());
      if (file.getKey().toString().endsWith(".svg")) {
        SvgChartTest.parse(file.getValue());
      }
    }
  }

  @Test
  void otherResults_arePrintedAndDrawn() throws Exception {
    Path file = folder.resolve("results.jsonl");
    results().write(file);
    CommandRun run = CommandRun.of("bench", "page", "--results", file.toString());
    assertEquals(Main.OK, run.exitCode(), run.err());
    assertTrue(run.out().contains("### Pairs"), run.out());
    SvgChartTest.parse(Files.readString(folder.resolve("peers-held.svg")));
  }

  @Test
  void otherResults_withoutFiguresOrForThePages_areRefused() throws Exception {
    Path file = folder.resolve("results.jsonl");
    new ResultFile(Map.of("run", "peers"), List.of(), List.of()).write(file);
    CommandRun run = CommandRun.of("bench", "page", "--results", file.toString());
    assertEquals(Main.BAD_INPUT, run.exitCode());
    assertEquals("results without figures: run=peers", run.err().strip());
    run = CommandRun.of("bench", "page", "--charts", folder.toString());
    assertEquals(Main.BAD_INPUT, run.exitCode());
    assertTrue(run.err().contains("--charts is for --results"), run.err());
  }

  @Test
  void charts_whereNothingCanBe_areRefusedInOneLine() throws Exception {
    Path file = folder.resolve("results.jsonl");
    results().write(file);
    Path bad = file.resolve("below");
    CommandRun run =
        CommandRun.of("bench", "page", "--results", file.toString(), "--charts", bad.toString());
    assertEquals(Main.BAD_INPUT, run.exitCode());
    assertEquals(1, run.err().strip().lines().count(), run.err());
    assertTrue(run.err().contains(file.toString()), run.err());
  }

  /** Before anything is measured: the case would take longer than any test may. */
  @Test
  void bench_savedWhereNothingCanBe_isRefusedAtOnce() throws Exception {
    Path file = Files.createFile(folder.resolve("file"));
    for (Path bad : List.of(folder, file.resolve("below.jsonl"))) {
      CommandRun run =
          CommandRun.of("bench", "peers", "--rounds", "1000000000", "--save", bad.toString());
      assertEquals(Main.BAD_INPUT, run.exitCode());
      assertTrue(run.err().contains("cannot write results: file=" + bad), run.err());
    }
  }

  @Test
  void bench_saved_canBeReadAgain() {
    Path file = folder.resolve("saved.jsonl");
    CommandRun run =
        CommandRun.of(
            "bench",
            "peers",
            "--quick",
            "--json",
            "--case",
            "limit",
            "--subject",
            "memcg4j",
            "--save",
            file.toString());
    assertEquals(Main.OK, run.exitCode(), run.err());
    ResultFile saved = ResultFile.read(file);
    assertEquals(run.outLines(), saved.figures().stream().map(Figure::toJson).toList());
    assertEquals(
        "./memcg4j bench peers --quick --json --case limit --subject memcg4j",
        saved.run().get("command"));
  }
}
