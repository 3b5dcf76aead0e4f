package io.memcg4j.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** That each of the benchmarks for JMH runs; how long that takes is nobody's business here. */
final class JmhTest {
  private static final List<String> SMALLEST_PARAMETERS =
      List.of("size=64", "nrObjects=100", "nrAreas=100", "nrChildren=0", "nrSegments=1", "depth=3");

  /** The classes of that package which end in Jmh. */
  private static List<String> questions() throws IOException {
    try (Stream<Path> files = Files.list(Path.of("src/test/java/io/memcg4j/benchmarks/jmh"))) {
      return files
          .map(file -> file.getFileName().toString().replace(".java", ""))
          .filter(name -> name.endsWith("Jmh"))
          .sorted()
          .toList();
    }
  }

  /** In one process of its own, as JMH needs Unsafe, which this one denies. */
  @Test
  void eachBenchmark_runsForAMoment() throws IOException, InterruptedException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(
        List.of("--enable-native-access=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow"));
    command.addAll(List.of("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"));
    command.addAll(List.of("-classpath", System.getProperty("java.class.path")));
    command.addAll(List.of("org.openjdk.jmh.Main", "-f", "0", "-wi", "0", "-i", "1"));
    command.addAll(List.of("-r", "10ms", "-foe", "true"));
    for (String parameter : SMALLEST_PARAMETERS) {
      command.addAll(List.of("-p", parameter));
    }
    command.add("io.memcg4j.benchmarks.jmh");
    Process jmh = new ProcessBuilder(command).redirectErrorStream(true).start();
    try {
      jmh.getOutputStream().close();
      String text = new String(jmh.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      assertEquals(0, jmh.waitFor(), text);
      List<String> questions = questions();
      assertTrue(questions.size() > 10, questions::toString);
      for (String question : questions) {
        assertTrue(text.contains(question + "."), () -> question + " did not run: " + text);
      }
    } finally {
      jmh.destroy(); // this process only; without effect when it has ended
    }
  }
}
