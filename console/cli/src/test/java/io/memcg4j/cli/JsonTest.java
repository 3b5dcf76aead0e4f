package io.memcg4j.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What is written is read back; what is no JSON is refused. */
final class JsonTest {
  @ParameterizedTest
  @ValueSource(
      strings = {
        "{}",
        "[]",
        "{\"a\":1,\"b\":-2.5,\"c\":\"x\",\"d\":[true,false,null],\"e\":{\"f\":{}}}",
        "{\"t\":1763770000000,\"groups\":[{\"path\":\"/a\"}]}",
        "\"\\\"\\\\\\u0000\\ud83d\""
      })
  void value_isWrittenAsItWasRead(String text) {
    assertEquals(text, Json.write(Json.parse(text)));
  }

  @Test
  void escapes_areRead() {
    assertEquals("\b\f\n\r\t/é\"", Json.parse(" \"\\b\\f\\n\\r\\t\\/\\u00e9\\\"\" "));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "{",
        "{\"a\"}",
        "{\"a\":}",
        "[1,]",
        "[1 2]",
        "tru",
        "nul",
        "1 2",
        "\"",
        "\"\\x\"",
        "\"\\u12\"",
        "-",
        "1e",
        "{a:1}",
        "<html>",
        "99999999999999999999999"
      })
  void otherText_isRefused(String text) {
    assertThrows(IllegalArgumentException.class, () -> Json.parse(text));
  }

  @Test
  void nesting_tooDeep_isRefused() {
    String deep = "[".repeat(100_000);
    assertThrows(IllegalArgumentException.class, () -> Json.parse(deep));
  }

  @Test
  void strings_anyText_writtenInAsciiAndReadBack() {
    long seed = 42;
    Random random = new Random(seed);
    for (int i = 0; i < 2_000; i++) {
      StringBuilder text = new StringBuilder();
      int length = random.nextInt(20);
      for (int j = 0; j < length; j++) {
        text.append((char) random.nextInt(random.nextBoolean() ? 128 : 0x10000));
      }
      String written = Json.write(text.toString());
      assertTrue(written.chars().allMatch(c -> c >= ' ' && c < 0x7f), () -> "seed=" + seed);
      assertEquals(text.toString(), Json.parse(written), () -> "seed=" + seed);
    }
  }
}
