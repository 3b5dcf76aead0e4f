package io.memcg4j.fuzz;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.benchmarks.TraceTarget;
import io.memcg4j.examples.server.TenantsTarget;
import io.memcg4j.leak.HeapDumpTarget;
import io.memcg4j.testkit.Proof;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Has Jazzer look for input that a parser does not answer as it should, for {@code
 * memcg4j.fuzz.seconds} each, in a JVM of its own. HTTP is left to the seeded generators of the
 * servers' tests, as it is sockets and threads.
 */
final class FuzzTest {
  private static final int NR_SECONDS = Integer.getInteger("memcg4j.fuzz.seconds", 4);
  private static final Pattern DONE = Pattern.compile("(?m)^#(\\d+)\\s+DONE\\s+cov: (\\d+)");

  @TempDir Path folder;

  private record Run(int exitCode, String text) {}

  static List<Arguments> targets() {
    return List.of(
        Arguments.of(GroupFileTarget.class, List.of("\001max", "\0031M", "\377a/memory.max")),
        Arguments.of(GroupNameTarget.class, List.of("acme", "a b", "\0a\0/\0")),
        Arguments.of(CommandTarget.class, List.of("scan", "scan=10", "dump=0x1000", "clear")),
        Arguments.of(TraceTarget.class, List.of("a 0 64\nf 0\n", "{\"run\":\"peers\"}\n")),
        Arguments.of(TenantsTarget.class, List.of("[a]\nmax = 1m\n[b]\nmin = 1k\nmax = max\n")),
        Arguments.of(
            HeapDumpTarget.class,
            List.of(new String(HeapDumpTarget.seed(), StandardCharsets.ISO_8859_1))));
  }

  private Run run(Class<?> target, List<String> seeds, int nrSeconds) throws Exception {
    Path corpus = Files.createDirectories(folder.resolve("corpus"));
    for (int i = 0; i < seeds.size(); i++) {
      Files.writeString(corpus.resolve("seed" + i), seeds.get(i), StandardCharsets.ISO_8859_1);
    }
    Path log = folder.resolve("log");
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-ea",
                "-Xmx512m",
                "-XX:+EnableDynamicAgentLoading",
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                System.getProperty("java.class.path"),
                "com.code_intelligence.jazzer.Jazzer",
                "--target_class=" + target.getName(),
                "--instrumentation_includes=io.memcg4j.**",
                "--reproducer_path=" + folder,
                "-artifact_prefix=" + folder + "/",
                "-max_total_time=" + nrSeconds,
                "-timeout=20",
                corpus.toString())
            .directory(folder.toFile())
            .redirectErrorStream(true)
            .redirectOutput(log.toFile())
            .start();
    int exitCode = process.waitFor();
    return new Run(exitCode, read(log));
  }

  private static String read(Path log) throws IOException {
    String text = Files.readString(log, StandardCharsets.ISO_8859_1);
    return text.substring(Math.max(0, text.length() - 20_000));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("targets")
  void parser_anyInput_isReadOrRefusedWithAClearError(Class<?> target, List<String> seeds)
      throws Exception {
    Proof proof = Proof.begin(getClass(), target.getSimpleName());
    Run run = run(target, seeds, NR_SECONDS);
    assertEquals(0, run.exitCode, run.text);
    Matcher done = DONE.matcher(run.text);
    assertTrue(done.find(), run.text);
    assertTrue(Long.parseLong(done.group(1)) > 100, run.text);
    System.out.printf(
        "fuzz: target=%s seconds=%d inputs=%s coverage=%s%n",
        target.getSimpleName(), NR_SECONDS, done.group(1), done.group(2));
    proof.holds(
        Long.parseLong(done.group(1)), "Jazzer: " + NR_SECONDS + " s, coverage " + done.group(2));
  }

  @Test
  void plantedFault_isFound() throws Exception {
    Proof proof = Proof.begin(getClass(), PlantedTarget.class.getSimpleName());
    Run run = run(PlantedTarget.class, List.of(), 120);
    assertNotEquals(0, run.exitCode, run.text);
    assertTrue(run.text.contains("IllegalStateException: planted"), run.text);
    proof.breaks(1, "Jazzer: found");
  }
}
