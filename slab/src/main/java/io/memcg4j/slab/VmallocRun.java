package io.memcg4j.slab;

import static java.lang.invoke.ConstantBootstraps.fieldVarHandle;
import static java.lang.invoke.MethodHandles.lookup;

import java.lang.invoke.VarHandle;
import org.jspecify.annotations.Nullable;

/**
 * Addresses that one area after the other lives in, followed by a guard page. It stays in the index
 * while areas come and go, so that reuse changes no tree.
 */
final class VmallocRun {
  /*
   * Ordering   area is the one field that says whether and what lives here: readers load it once, so
   *            start, size and payer are of one version. It is set after the run is in the index and
   *            its pages are usable. A free is the one successful exchange of the area for null, a
   *            reallocation that for its resizing() form; hence of two only one goes on.
   */
  private static final VarHandle AREA =
      fieldVarHandle(lookup(), "area", VarHandle.class, VmallocRun.class, LiveArea.class);

  final long base;

  /** Addresses up to the guard page. Changes only with the space's lock held. */
  long capacityBytes;

  /** Usable memory from the base on; belongs to whoever owns the run at the moment. */
  long committedBytes;

  /** Waits for the purge; racy, for the list of areas only. */
  volatile boolean lazy;

  private volatile @Nullable LiveArea area;

  VmallocRun(long base, long capacityBytes) {
    this.base = base;
    this.capacityBytes = capacityBytes;
  }

  @Nullable LiveArea area() {
    return area;
  }

  void setArea(LiveArea live) {
    area = live;
  }

  boolean casArea(LiveArea expected, @Nullable LiveArea next) {
    return AREA.compareAndSet(this, expected, next);
  }
}
