package io.memcg4j.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.memcg4j.console.Console;
import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.slab.Kmalloc;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** top on a terminal of its own, which util-linux's script makes. */
final class TerminalTest {
  @BeforeAll
  static void prepare() {
    Ran.prepare();
  }

  private static void awaitText(InputStream in, StringBuilder seen, String text)
      throws IOException {
    while (seen.indexOf(text) < 0) {
      int next = in.read();
      assertTrue(next >= 0, () -> "ended before " + text + ": " + seen);
      seen.append((char) next);
    }
  }

  @Test
  void top_keysSortAndEnd_screenIsPutBack() throws Exception {
    Path script = Path.of("/usr/bin/script");
    assumeTrue(Files.isExecutable(script), "no script");
    MemCgroup root = MemCgroup.root();
    root.create("acme").setMax(1 << 20);
    try (Kmalloc kmalloc = Kmalloc.create(root);
        Console _ = Console.builder(kmalloc).name("shop").start()) {
      String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
      String command =
          "stty rows 10 columns 90; '%s' -cp '%s' %s top --interval 0.2; echo rc=$?; stty -a"
              .formatted(java, System.getProperty("java.class.path"), Main.class.getName());
      Process process =
          new ProcessBuilder(script.toString(), "-qfec", command, "/dev/null")
              .redirectErrorStream(true)
              .start();
      StringBuilder seen = new StringBuilder();
      InputStream in = process.getInputStream();
      awaitText(in, seen, "by usage");
      awaitText(in, seen, "/acme");
      for (List<String> key : List.of(List.of("m", "by limit"), List.of(" ", "stopped"))) {
        process.getOutputStream().write(key.getFirst().getBytes(StandardCharsets.US_ASCII));
        process.getOutputStream().flush();
        awaitText(in, seen, key.getLast());
      }
      process.getOutputStream().write('q');
      process.getOutputStream().flush();
      awaitText(in, seen, "rc=0");
      seen.append(new String(in.readAllBytes(), StandardCharsets.UTF_8));
      assertEquals(0, process.waitFor());
      String text = seen.toString();
      assertTrue(text.contains("\u001b[?1049h") && text.contains("\u001b[?1049l"), text);
      String after = text.substring(text.indexOf("rc=0"));
      assertTrue(after.contains(" icanon") && after.contains(" echo "), after);
    }
  }
}
