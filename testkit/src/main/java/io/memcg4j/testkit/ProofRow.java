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

  /** Of a jcstress test. */
  static void write(Class<?> test, String verdict, Outcomes seen, Effort effort, Headers headers) {
    Class<?> suite = test.getEnclosingClass() == null ? test : test.getEnclosingClass();
    write(
        file(test, headers),
        suite.getSimpleName(),
        test.getSimpleName(),
        verdict,
        seen.nrSamples(),
        seen.counts(),
        effort,
        headers);
  }

  /** Of any other test, which runs in this JVM. */
  static void write(Class<?> test, String what, String verdict, long nrSamples, String seen) {
    write(
        file(test, what),
        test.getSimpleName(),
        what,
        verdict,
        nrSamples,
        seen,
        Effort.chosen(),
        Headers.DEFAULT);
  }

  private static void write(
      Path file,
      String suite,
      String what,
      String verdict,
      long nrSamples,
      String seen,
      Effort effort,
      Headers headers) {
    String row =
        String.format(
            Locale.ROOT,
            "| %s | %s | %s | %,d | %s | %s | %s |%n",
            suite,
            what.replace("|", "\\|"),
            verdict,
            nrSamples,
            seen.replace("|", "\\|"),
            effort,
            headers);
    try {
      Files.createDirectories(FOLDER);
      Files.writeString(file, row);
    } catch (IOException e) {
      throw new UncheckedIOException("cannot write: folder=" + FOLDER.toAbsolutePath(), e);
    }
  }

  /** A test begins: what an earlier run of it has seen says nothing of this one. */
  static void forget(Class<?> test, Headers headers) {
    delete(file(test, headers));
  }

  static void forget(Class<?> test, String what) {
    delete(file(test, what));
  }

  private static void delete(Path file) {
    try {
      Files.deleteIfExists(file);
    } catch (IOException e) {
      throw new UncheckedIOException("cannot delete: folder=" + FOLDER.toAbsolutePath(), e);
    }
  }

  static Path file(Class<?> test, String what) {
    return FOLDER.resolve(test.getName() + "-" + what.replaceAll("\\W+", "_") + ".row");
  }

  static Path file(Class<?> test, Headers headers) {
    return FOLDER.resolve(Outcomes.nameOf(test) + "-" + headers + ".row");
  }
}
