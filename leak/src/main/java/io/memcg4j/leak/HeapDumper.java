package io.memcg4j.leak;

import java.io.IOException;
import java.nio.file.Path;

/** What writes the live objects of the Java heap to a file. */
@FunctionalInterface
interface HeapDumper {
  /**
   * Writes a dump.
   *
   * @param file does not exist; its name ends in {@code .hprof}
   * @throws IOException if the file cannot be written
   * @throws HeapDumpException if this JVM cannot dump its heap
   */
  void dump(Path file) throws IOException;

  /** The dumper of this JVM; using it fails with a clear error if there is none. */
  static HeapDumper ofThisJvm() {
    return file -> {
      try {
        HotSpotDump.dump(file);
      } catch (LinkageError e) {
        throw new HeapDumpException(
            "heap dump unsupported: module java.management is missing; start Java with"
                + " --add-modules=java.management,jdk.management",
            e);
      }
    };
  }
}
