package io.memcg4j.leak;

/**
 * The Java heap could not be read: the JVM cannot dump it or refused, there was no room for the
 * dump, or the dump is damaged. Nothing has changed, and no file is left.
 */
public final class HeapDumpException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  HeapDumpException(String message) {
    super(message);
  }

  HeapDumpException(String message, Throwable cause) {
    super(message, cause);
  }
}
