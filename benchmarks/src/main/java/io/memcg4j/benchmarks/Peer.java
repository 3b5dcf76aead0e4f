package io.memcg4j.benchmarks;

/**
 * An allocator under test. Each measures in a process of its own, so that its loops are compiled
 * for it alone. All workers share the peer's memory.
 */
abstract class Peer implements AutoCloseable {
  /**
   * What one thread does with a peer. A batch is an array of objects; what is freed leaves nothing
   * in its place.
   */
  interface Worker extends AutoCloseable {
    /** An array that {@link #fill} can fill. */
    Object batch(int nrObjects);

    /** Allocates objects and keeps them. */
    void fill(Object batch, int size);

    /** Frees all that is there, on whatever thread. */
    void freeAll(Object batch);

    /** Writes a byte into each object. */
    void touch(Object batch);

    /** Allocates and frees one after the other. Returns something that depends on each. */
    long pairs(int count, int size);

    /**
     * Puts a new object of each size in turn in its place, after freeing what is there, and writes
     * its first and its last byte.
     */
    void churn(Object batch, int[] places, int[] sizes);

    /** Does all that a trace says, and writes the first and the last byte of what it gets. */
    void replay(Object batch, Trace trace);

    @Override
    void close();
  }

  /** Tenants that have a group, or an allocator, of their own where the peer knows such. */
  static final int NR_TENANTS = 1000;

  /**
   * A worker for the calling thread.
   *
   * @param tenant who pays, in {@code 0..NR_TENANTS-1}
   */
  abstract Worker worker(int tenant);

  /** A thread of the kind that the peer is made for; not started. */
  Thread thread(Runnable work) {
    return Thread.ofPlatform().unstarted(work);
  }

  /** As many objects as it may hold at one time, where each costs much. */
  int maxObjects() {
    return Integer.MAX_VALUE;
  }

  /** Whether the garbage collector frees: dropping an object is no free. */
  boolean isCollected() {
    return false;
  }

  /**
   * A limit of the first tenant.
   *
   * @throws UnsupportedOperationException if the peer has none
   */
  Limited limited(long maxBytes) {
    throw new UnsupportedOperationException("no limit of a tenant: bytes=" + maxBytes);
  }

  /** Gives its memory back, if that can be done. Nothing is live. */
  @Override
  public void close() {}

  /** A tenant with a limit. */
  interface Limited extends AutoCloseable {
    /** Takes memory until the next object of a size is refused, less a share. */
    void fillTo(int percent, int size);

    /** Allocates and frees one after the other. */
    long pairs(int count, int size);

    /** Asks for what must be refused, by an exception. Returns how many were. */
    int refusals(int count, long size);

    /** As {@link #refusals}, by a NULL; 0 if the peer has no such way. */
    default int nullRefusals(int count, long size) {
      return 0;
    }

    @Override
    void close();
  }
}
