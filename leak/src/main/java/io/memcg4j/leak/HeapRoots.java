package io.memcg4j.leak;

/**
 * What reading the Java heap has taken and found.
 *
 * @param dumpNanos time that the JVM took to write the dump, collection of garbage included; most
 *     of it is a pause of every thread, so it is an upper bound of the pause
 * @param parseNanos time to read the dump, while the application runs
 * @param dumpBytes size of the dump
 * @param nrObjects live objects seen
 * @param nrLongs long fields and elements seen
 * @param nrAddresses of those, values within the addresses of interest, memcg4j's own metadata left
 *     out
 */
public record HeapRoots(
    long dumpNanos,
    long parseNanos,
    long dumpBytes,
    long nrObjects,
    long nrLongs,
    long nrAddresses) {
  /** The Java heap was not read. */
  static final HeapRoots NONE = new HeapRoots(0, 0, 0, 0, 0, 0);

  /** The effort of two readings, and what the second found. */
  HeapRoots after(HeapRoots first) {
    return new HeapRoots(
        first.dumpNanos + dumpNanos,
        first.parseNanos + parseNanos,
        Math.max(first.dumpBytes, dumpBytes),
        nrObjects,
        nrLongs,
        nrAddresses);
  }
}
