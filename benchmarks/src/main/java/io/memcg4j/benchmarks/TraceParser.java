package io.memcg4j.benchmarks;

import io.memcg4j.memcg.MemCgroup;
import java.io.BufferedReader;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.zip.GZIPInputStream;
import java.util.zip.ZipException;
import org.jspecify.annotations.Nullable;

/**
 * Reads a trace: gzip text, a header of {@code #} lines, then one event per line. Anything that is
 * not exactly of the format is refused with its line.
 *
 * <pre>
 * t N              the following events are of thread N
 * a ID SIZE        allocate
 * z ID SIZE        allocate zeroed
 * m ID SIZE ALIGN  allocate aligned
 * r ID SIZE        reallocate
 * f ID             free
 * </pre>
 */
final class TraceParser {
  private static final String SUFFIX = ".trace.gz";
  private static final String HEADER = "# allocation trace ";
  private static final String VERSION = "1";
  private static final int MAX_THREAD = 0xffff;

  /** The largest charge there is: 32 GiB. */
  private static final long MAX_SIZE = MemCgroup.MAX_REQUEST_PAGES << MemCgroup.PAGE_SHIFT;

  private final TraceBuilder builder = new TraceBuilder();
  private final String file;
  private int line;
  private String text = "";
  private int position; // of the next character of the line to read

  private TraceParser(String file) {
    this.file = file;
  }

  /**
   * Reads a whole file.
   *
   * @param path a gzip file
   * @return the trace, named as the file without {@code .trace.gz}
   * @throws TraceException if the file cannot be read, is no intact gzip or breaks the format
   */
  static Trace parse(Path path) throws TraceException {
    return new TraceParser(path.toString()).read(path);
  }

  private Trace read(Path path) throws TraceException {
    try (GZIPInputStream bytes = new GZIPInputStream(Files.newInputStream(path), 1 << 16);
        BufferedReader lines =
            new BufferedReader(
                new InputStreamReader(bytes, StandardCharsets.ISO_8859_1), 1 << 16)) {
      readHeader(lines);
      while (next(lines)) {
        readEvent();
      }
    } catch (NoSuchFileException e) {
      throw new TraceException(file, 0, "cannot open", "no such file");
    } catch (EOFException e) {
      throw new TraceException(file, line, "truncated gzip", "the file ends early");
    } catch (ZipException e) {
      String reason = line == 0 ? "not a gzip file" : "damaged gzip";
      throw new TraceException(file, line, reason, String.valueOf(e.getMessage()));
    } catch (IOException e) {
      throw new TraceException(file, line, "cannot read", String.valueOf(e.getMessage()));
    }
    return builder.build(nameOf(path));
  }

  private static String nameOf(Path path) {
    String name = String.valueOf(path.getFileName());
    boolean named = name.endsWith(SUFFIX) && name.length() > SUFFIX.length();
    return named ? name.substring(0, name.length() - SUFFIX.length()) : name;
  }

  /** Reads the header and the first event after it. */
  private void readHeader(BufferedReader lines) throws IOException, TraceException {
    if (!next(lines) || !text.startsWith("#")) {
      line = 1;
      throw refuse("missing header, expected a line that starts with #");
    }
    if (text.startsWith(HEADER) && !text.substring(HEADER.length()).equals(VERSION)) {
      throw refuse("unknown version, expected " + VERSION);
    }
    while (next(lines)) {
      if (!text.startsWith("#")) {
        readEvent();
        return;
      }
    }
  }

  private boolean next(BufferedReader lines) throws IOException {
    line++; // first: when reading fails, it is this line that is broken
    @Nullable String read = lines.readLine();
    if (read == null) {
      line--;
      text = "";
      return false;
    }
    text = read;
    position = 0;
    return true;
  }

  private void readEvent() throws TraceException {
    if (text.isEmpty()) {
      throw refuse("empty line");
    }
    boolean single = text.length() == 1 || text.charAt(1) == ' ';
    char kind = single ? text.charAt(0) : '?';
    position = 1;
    @Nullable String refused =
        switch (kind) {
          case 'a' -> builder.addNew(Trace.ALLOCATE, id(), lastSize(), 0);
          case 'z' -> builder.addNew(Trace.ZEROED, id(), lastSize(), 0);
          case 'm' -> builder.addNew(Trace.ALIGNED, id(), size(), lastAlignLog2());
          case 'r' -> builder.addReallocate(id(), lastSize());
          case 'f' -> builder.addFree((int) last(number("id", Trace.MAX_ID)));
          case 't' -> {
            builder.thread((int) last(number("thread", MAX_THREAD)));
            yield null;
          }
          case '#' -> "header line after the first event";
          default -> "unknown event";
        };
    if (refused != null) {
      throw refuse(refused);
    }
  }

  private int id() throws TraceException {
    return (int) number("id", Trace.MAX_ID);
  }

  private long size() throws TraceException {
    return number("size", MAX_SIZE);
  }

  private long lastSize() throws TraceException {
    return last(size());
  }

  private int lastAlignLog2() throws TraceException {
    long alignment = last(number("alignment", 1L << Trace.MAX_ALIGN_LOG2));
    if (Long.bitCount(alignment) != 1) {
      throw refuse("alignment is not a power of two");
    }
    return Long.numberOfTrailingZeros(alignment);
  }

  /** Makes sure that the value was the last field of the line. */
  private long last(long value) throws TraceException {
    if (position != text.length()) {
      throw refuse("too many fields");
    }
    return value;
  }

  /** The next field: one blank, then digits whose value is in {@code 0..max}. */
  private long number(String what, long max) throws TraceException {
    if (position == text.length()) {
      throw refuse("missing " + what);
    }
    int start = ++position; // the blank was checked: it is what ended the field before
    int end = text.indexOf(' ', start);
    position = end < 0 ? text.length() : end;
    if (position == start) {
      throw refuse("missing " + what);
    }
    if (text.charAt(start) == '-') {
      throw refuse("negative " + what);
    }
    long value = 0;
    for (int i = start; i < position; i++) {
      int digit = text.charAt(i) - '0';
      if (digit < 0 || digit > 9) {
        throw refuse(what + " is not a number");
      }
      if (value > (max - digit) / 10) {
        throw refuse(what + " out of range 0.." + max);
      }
      value = value * 10 + digit;
    }
    return value;
  }

  private TraceException refuse(String reason) {
    return new TraceException(file, line, reason, text);
  }
}
