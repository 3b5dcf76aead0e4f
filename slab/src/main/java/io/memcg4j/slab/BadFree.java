package io.memcg4j.slab;

import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** The text that all bad frees share. */
final class BadFree {
  private BadFree() {}

  static IllegalArgumentException of(
      String reason, long address, SlabRange range, @Nullable Slab slab) {
    return new IllegalArgumentException(
        slab == null
            ? String.format(
                Locale.ROOT,
                "%s: address=0x%x range=0x%x..0x%x",
                reason,
                address,
                range.base(),
                range.base() + range.rangeBytes())
            : String.format(
                Locale.ROOT,
                "%s: address=0x%x slab=0x%x offset=%d objectSize=%d",
                reason,
                address,
                slab.base,
                address - slab.base,
                SlabAllocator.objectSize(slab)));
  }
}
