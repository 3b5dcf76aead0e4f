package io.memcg4j.examples.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.Test;

class DemoTest {
  @Test
  void run_oneSecond_keepsAllPromises() throws InterruptedException {
    ByteArrayOutputStream text = new ByteArrayOutputStream();
    List<String> broken = new Demo(new PrintStream(text, true, StandardCharsets.UTF_8)).run(1);
    assertEquals(List.of(), broken);
    String printed = text.toString(StandardCharsets.UTF_8);
    assertTrue(printed.contains("/tenants/greedy"), printed);
    assertTrue(printed.contains("all promises kept"), printed);
  }
}
