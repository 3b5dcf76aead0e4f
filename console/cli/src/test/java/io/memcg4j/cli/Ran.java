package io.memcg4j.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What a command line did.
 *
 * @param exitCode of the command
 * @param out standard output
 * @param err standard error
 */
record Ran(int exitCode, String out, String err) {
  /** Tests run in a runtime folder of their own, which the build names. */
  static void prepare() {
    String runtime = System.getenv("XDG_RUNTIME_DIR");
    assertTrue(runtime != null && !runtime.startsWith("/run/"), "see surefire in the pom");
    try {
      Files.createDirectories(Path.of(runtime));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static Ran cli(String... args) {
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    int exitCode = Main.run(new PrintWriter(out), new PrintWriter(err), args);
    return new Ran(exitCode, out.toString(), err.toString());
  }

  /** Passes what succeeded and said nothing on standard error. */
  Ran ok() {
    assertEquals(Main.OK, exitCode, err);
    assertEquals("", err);
    return this;
  }

  /** Passes what failed with a reason, and printed no result. */
  Ran failed(int code, String reason) {
    assertEquals(code, exitCode, () -> out + err);
    assertTrue(err.contains(reason), err);
    assertEquals("", out);
    return this;
  }

  /** One object for each line, and nothing else. */
  List<Map<String, @Nullable Object>> json() {
    ok();
    return out.lines().map(Json::parseObject).toList();
  }
}
