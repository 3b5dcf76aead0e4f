package io.memcg4j.benchmarks;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.zip.GZIPOutputStream;

/** Writes hand-made traces. */
final class TraceFile {
  static final String HEADER = "# allocation trace 1\n";

  private TraceFile() {}

  static Path write(Path folder, String name, String text) throws IOException {
    Path file = folder.resolve(name + ".trace.gz");
    try (OutputStream out = new GZIPOutputStream(Files.newOutputStream(file))) {
      out.write(text.getBytes(StandardCharsets.ISO_8859_1));
    }
    return file;
  }
}
