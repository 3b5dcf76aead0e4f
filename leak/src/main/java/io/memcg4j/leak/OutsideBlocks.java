package io.memcg4j.leak;

import io.memcg4j.slab.ObjectTracking;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The allocator's blocks outside its slabs, each with the epoch in which it was first seen. Not
 * thread-safe.
 */
final class OutsideBlocks {
  /*
   * Not        that per-CPU memory which was freed and allocated anew at the same place is told from
   * guaranteed what was there before: it may count as older than it is.
   */
  private record Seen(@Nullable Object identity, long nrBytes, long birth) {
    boolean isOf(@Nullable Object other, long otherBytes) {
      return identity == other && nrBytes == otherBytes;
    }
  }

  private IdTable<Seen> seen = new IdTable<>();

  /** Looks at what there is. */
  List<RangeMap.Outside> look(ObjectTracking tracking) {
    // Before the look: a block that is found was there before the next epoch.
    long epoch = tracking.epoch();
    IdTable<Seen> now = new IdTable<>();
    List<RangeMap.Outside> blocks = new ArrayList<>();
    tracking.forEachOutside(block -> {
      Seen last = seen.get(block.address());
      long birth =
          last != null && last.isOf(block.identity(), block.nrBytes()) ? last.birth : epoch;
      now.put(block.address(), new Seen(block.identity(), block.nrBytes(), birth));
      blocks.add(new RangeMap.Outside(block, birth));
    });
    seen = now;
    return blocks;
  }

  /** Everything was seen now for the first time. */
  void forget() {
    seen = new IdTable<>();
  }
}
