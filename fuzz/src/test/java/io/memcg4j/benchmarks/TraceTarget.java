package io.memcg4j.benchmarks;

import io.memcg4j.fuzz.TargetChecks;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Traces of allocations, and files of results. */
public final class TraceTarget {
  private static final Path FILE = temporary(".trace");

  private TraceTarget() {}

  private static Path temporary(String suffix) {
    try {
      Path file = Files.createTempFile("memcg4j-fuzz-", suffix);
      file.toFile().deleteOnExit();
      return file;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * One input: the file.
   *
   * @param data the input
   * @throws IOException if the file cannot be written
   */
  public static void fuzzerTestOneInput(byte[] data) throws IOException {
    Files.write(FILE, data);
    try {
      Trace trace = TraceParser.parse(FILE);
      TargetChecks.require(trace.nrEvents() == trace.words().length, "events");
      TargetChecks.require(trace.nrLiveAtEnd() <= trace.nrIds(), "live at the end");
    } catch (TraceException e) {
      TargetChecks.clean(e);
    }
    try {
      TargetChecks.require(ResultFile.read(FILE).figures().size() <= data.length, "figures");
    } catch (UsageError e) {
      TargetChecks.clean(e);
    }
  }
}
