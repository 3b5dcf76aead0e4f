package io.memcg4j.memcg;

import org.jspecify.annotations.Nullable;

/**
 * A peak with a beginning of its own: the highest usage since this handle was reset last. Other
 * handles of the group are not disturbed. Any thread.
 *
 * <p>Origin: writes to an open {@code memory.peak} of cgroup v2.
 */
public final class PeakHandle implements AutoCloseable {
  /*
   * Invariant  a handle that was reset is in the group's list; its peak is the larger one of
   *            savedPages and the counter's local peak, which begins anew at each reset of any.
   * Locks      the group's peak lock for reset and close.
   */
  private final MemCgroup group;
  private final PeakMarks marks;
  private volatile @Nullable Long savedPages;

  PeakHandle(MemCgroup group, PeakMarks marks) {
    this.group = group;
    this.marks = marks;
  }

  /**
   * The highest usage since the last {@link #reset} of this handle; before the first one, since the
   * group was made.
   *
   * @return bytes
   */
  public long peak() {
    Long saved = savedPages;
    return saved == null
        ? group.peak()
        : Math.max(saved, group.counter().localPeak()) << MemCgroup.PAGE_SHIFT;
  }

  /** Begins anew at what is used now. */
  public void reset() {
    marks.reset(this, group.counter());
  }

  void save(long nrPages) {
    savedPages = nrPages;
  }

  void raise(long nrPages) {
    Long saved = savedPages;
    savedPages = saved == null ? nrPages : Math.max(saved, nrPages);
  }

  /** Forgets the handle; it reads as one that was never reset then. */
  @Override
  public void close() {
    marks.remove(this);
    savedPages = null;
  }
}
