package io.memcg4j.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.TreeSet;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;

/** Help, completion, and what is not a command. */
final class CommandLineTest {
  @TempDir private Path folder;

  @BeforeAll
  static void prepare() {
    Ran.prepare();
  }

  @Test
  void help_ofAllCommands_namesJson() {
    String text = Ran.cli("--help").ok().out();
    for (CommandLine command : Main.line().getSubcommands().values()) {
      String name = command.getCommandName();
      assertTrue(text.contains(name), name);
      String help = Ran.cli(name, "--help").ok().out();
      assertTrue(help.startsWith("Usage: memcg4j " + name), help);
      assertTrue(help.contains("--json"), help);
    }
  }

  @Test
  void usage_errors_areTwoLinesAndExitCode2() {
    assertEquals(2, Ran.cli().failed(Main.USAGE, "missing command").err().lines().count());
    Ran.cli("tre").failed(Main.USAGE, "tree");
    Ran.cli("tree", "--no-such").failed(Main.USAGE, "--no-such");
    Ran.cli("tree", "--pid", "x").failed(Main.USAGE, "--pid");
  }

  /** At the top of the repository, from which the tests are run. */
  static Path script() {
    for (Path at = Path.of("").toAbsolutePath(); at != null; at = at.getParent()) {
      if (Files.isExecutable(at.resolve("memcg4j"))) {
        return at.resolve("memcg4j");
      }
    }
    throw new AssertionError("run from the repository");
  }

  /** The script passes commands on by name: it must know all of them. */
  @Test
  void script_knowsEveryCommand() throws IOException {
    String script = Files.readString(script());
    String cases =
        script.lines().filter(line -> line.contains("| tree |")).findFirst().orElseThrow();
    List<String> passed = List.of(cases.strip().replace(")", "").split(" \\| "));
    TreeSet<String> expected = new TreeSet<>(Main.line().getSubcommands().keySet());
    expected.remove("doctor"); // which the script begins itself
    assertEquals(expected, new TreeSet<>(passed));
    for (String command : Main.line().getSubcommands().keySet()) {
      assertTrue(
          script.lines().anyMatch(line -> line.matches("  ([a-z]+, )?" + command + "[ ,].*")),
          command + " in the script's usage");
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"bash", "zsh"})
  void completion_isReadByTheShell(String shell) throws IOException, InterruptedException {
    assumeTrue(
        Files.isExecutable(Path.of("/bin", shell))
            || Files.isExecutable(Path.of("/usr/bin", shell)),
        shell);
    Path script = folder.resolve("completion");
    Files.writeString(script, Ran.cli("completion").ok().out());
    String words =
        shell.equals("bash")
            ? "COMP_WORDS=(memcg4j tr); COMP_CWORD=1; COMP_LINE='memcg4j tr'; COMP_POINT=10;"
                + " _complete_memcg4j; echo \"${COMPREPLY[@]}\""
            : "echo tree";
    Process process =
        new ProcessBuilder(shell, "-c", "source " + script + " && " + words)
            .redirectErrorStream(true)
            .start();
    String out =
        new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
    assertEquals(0, process.waitFor(), out);
    assertTrue(out.endsWith("tree"), out);
  }

  @Test
  void completion_hasTheScriptsOwnCommandsToo() {
    String text = Ran.cli("completion").ok().out();
    for (String word : List.of("demo", "replay", "bench", "test", "--once", "kmemleak", "--json")) {
      assertTrue(text.contains(word), word);
    }
  }

  @ParameterizedTest
  @CsvSource({
    "0,0B",
    "1023,1023B",
    "1024,1.0K",
    "67108864,64.0M",
    "1048575,1024K",
    "-2048,-2.0K",
    "9223372036854775807,8.0E"
  })
  void sizes_forPeople(long nrBytes, String text) {
    assertEquals(text, Sizes.human(nrBytes));
  }

  @Test
  void printable_escapesWhatATerminalActsOn() {
    assertEquals("a\\u001b[31m\\u000a", Printable.line("a\u001b[31m\n"));
    assertEquals("a\n\tb\\u000d", Printable.text("a\n\tb\r"));
    assertEquals(
        "\\u009b\\u200b\\u2066\\U0e0001", Printable.line("\u009b\u200b\u2066\udb40\udc01"));
    assertEquals("größe 日本 😀", Printable.line("größe 日本 😀"));
    assertFalse(Printable.line("\ud83d").contains("\ud83d"));
  }
}
