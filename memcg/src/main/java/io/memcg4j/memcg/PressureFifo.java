package io.memcg4j.memcg;

import java.io.FileInputStream;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.nio.file.Path;

/** A FIFO into which somebody writes whatever he likes when memory is short. By one thread. */
final class PressureFifo implements AutoCloseable {
  private static final int MAX_READ_BYTES = 1 << 16; // what the kernel keeps of a FIFO

  private final RandomAccessFile file;
  private final FileInputStream input;

  /**
   * Opened for both directions: so neither the open nor a look waits for a writer, and one that
   * goes is no end of the file.
   *
   * @throws IOException if it cannot be opened for both
   */
  PressureFifo(Path path) throws IOException {
    this.file = new RandomAccessFile(path.toFile(), "rw");
    this.input = new FileInputStream(file.getFD());
  }

  /** Whether anything was written since the last call. What it says does not matter. */
  boolean takeSignal() {
    try {
      int nrBytes = Math.min(input.available(), MAX_READ_BYTES);
      return nrBytes > 0 && input.readNBytes(nrBytes).length > 0;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public void close() {
    try {
      file.close();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
