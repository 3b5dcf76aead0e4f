package io.memcg4j.memcg;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import java.util.Map;

/**
 * Where a service manager wants this process to hear about memory pressure: the environment
 * variables {@code MEMORY_PRESSURE_WATCH} and {@code MEMORY_PRESSURE_WRITE}, as systemd sets them.
 *
 * @param kind what is to be watched
 * @param path the file as given; empty if {@link Kind#UNSET}
 * @param write what is to be written after opening, decoded; empty if nothing
 * @param problem why it is {@link Kind#INVALID}, else empty
 */
public record PressureSource(Kind kind, String path, String write, String problem) {
  /** The variable with the path. */
  public static final String WATCH = "MEMORY_PRESSURE_WATCH";

  /** The variable with the text to write, in base64. */
  public static final String WRITE = "MEMORY_PRESSURE_WRITE";

  private static final int FILE_TYPE = 0xf000; // of stat's mode
  private static final int FIFO_TYPE = 0x1000;

  /** What the path names. */
  public enum Kind {
    /** Nothing was said: the process may choose. */
    UNSET,
    /** The path is {@code /dev/null}: the process is not to watch at all. */
    OFF,
    /** A pressure file. The kernel reports events on it by poll, which Java cannot call. */
    PSI_FILE,
    /** A FIFO; readable means pressure. */
    FIFO,
    /** A socket, or what else can be opened; using it is left to the application. */
    SOCKET,
    /** What was said cannot be followed. */
    INVALID
  }

  /**
   * Reads the variables.
   *
   * @param env the environment
   * @param root what absolute paths are taken from
   */
  static PressureSource of(Map<String, String> env, Path root) {
    String path = env.getOrDefault(WATCH, "");
    if (path.isEmpty()) {
      return new PressureSource(Kind.UNSET, "", "", "");
    }
    if (path.equals("/dev/null")) {
      return new PressureSource(Kind.OFF, path, "", "");
    }
    if (!path.startsWith("/") || path.indexOf('\0') >= 0) {
      return invalid(path, WATCH + " is no absolute path: value=" + path);
    }
    String write;
    try {
      write =
          new String(
              Base64.getDecoder().decode(env.getOrDefault(WRITE, "").strip()),
              StandardCharsets.UTF_8);
    } catch (IllegalArgumentException e) {
      return invalid(path, WRITE + " is not base64: " + e.getMessage());
    }
    Path file = root.resolve(path.substring(1));
    if (!Files.exists(file) || Files.isDirectory(file)) {
      return invalid(path, WATCH + " names no file: value=" + path);
    }
    Kind kind = Files.isRegularFile(file) ? Kind.PSI_FILE : isFifo(file) ? Kind.FIFO : Kind.SOCKET;
    return new PressureSource(kind, path, write, "");
  }

  private static boolean isFifo(Path file) {
    try {
      return ((int) Files.getAttribute(file, "unix:mode") & FILE_TYPE) == FIFO_TYPE;
    } catch (IOException | RuntimeException e) {
      return false; // a system without such files
    }
  }

  private static PressureSource invalid(String path, String problem) {
    return new PressureSource(Kind.INVALID, path, "", problem);
  }
}
