package io.memcg4j.testkit;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;

/**
 * What came of one test, as a row of a Markdown table in a file of its own: {@code ./memcg4j
 * proof-table} puts those of all modules together.
 */
final class ProofRow {
  private static final Path FOLDER = Path.of("target", "proof");

  private ProofRow() {}

  static void write(Class<?> test, String verdict, Outcomes seen, Effort effort, Headers headers) {
    Class<?> suite = test.getEnclosingClass() == null ? test : test.getEnclosingClass();
    String row =
        String.format(
            Locale.ROOT,
            "| %s | %s | %s | %,d | %s | %s | %s |%n",
            suite.getSimpleName(),
            test.getSimpleName(),
            verdict,
            seen.nrSamples(),
            seen.counts().replace("|", "\\|"),
            effort,
            headers);
    try {
      Files.createDirectories(FOLDER);
      Files.writeString(file(test, headers), row);
    } catch (IOException e) {
      throw new UncheckedIOException("cannot write: folder=" + FOLDER.toAbsolutePath(), e);
    }
  }

  /** A test begins: what an earlier run of it has seen says nothing of this one. */
  static void forget(Class<?> test, Headers headers) {
    try {
      Files.deleteIfExists(file(test, headers));
    } catch (IOException e) {
      throw new UncheckedIOException("cannot delete: folder=" + FOLDER.toAbsolutePath(), e);
    }
  }

  static Path file(Class<?> test, Headers headers) {
    return FOLDER.resolve(Outcomes.nameOf(test) + "-" + headers + ".row");
  }
}
