package io.memcg4j.slab;

import io.memcg4j.objcg.ObjCgroup;
import org.jspecify.annotations.Nullable;

/**
 * An area as its run keeps it. A class of its own, so that what the allocator knows of every area
 * is told from what an application holds.
 */
final class LiveArea extends VmallocArea {
  private final boolean resizing;

  LiveArea(
      long start,
      long nrBytes,
      long chargedBytes,
      long guardBytes,
      ObjCgroup payer,
      StackWalker.@Nullable StackFrame caller) {
    super(start, nrBytes, chargedBytes, guardBytes, payer, caller);
    resizing = false;
  }

  private LiveArea(LiveArea from, long nrBytes, long chargedBytes, boolean resizing) {
    super(from, nrBytes, chargedBytes);
    this.resizing = resizing;
  }

  /** The same area while a reallocation is at work on it, which nobody else may change then. */
  LiveArea resizing() {
    return new LiveArea(this, nrBytes(), chargedBytes(), true);
  }

  LiveArea resized(long newBytes, long newChargedBytes) {
    return new LiveArea(this, newBytes, newChargedBytes, false);
  }

  boolean isResizing() {
    return resizing;
  }

  /** For an application. */
  VmallocArea shown() {
    return new VmallocArea(this, nrBytes(), chargedBytes());
  }
}
