package io.memcg4j.leak;

import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/** What the application has said of blocks, by address. Not thread-safe. */
final class SaidOfBlocks implements Marker.Specials {
  private final IdTable<Attributes> blocks = new IdTable<>();

  @Override
  public @Nullable Attributes of(long address) {
    return blocks.get(address);
  }

  void change(long address, UnaryOperator<Attributes> by) {
    Attributes now = blocks.get(address);
    blocks.put(address, by.apply(now == null ? Attributes.NONE : now));
  }

  @Override
  public void forEach(Each each) {
    blocks.forEach(each::accept);
  }

  @Override
  public boolean isEmpty() {
    return blocks.size() == 0;
  }

  /**
   * A copy without what was said of blocks that are gone. A block that took the place of another
   * one is told by its age: it is younger than the epoch after the one in which something was said.
   *
   * @param epoch the current one, if it has lasted long enough to tell old objects; else 0
   */
  SaidOfBlocks stillTrue(HeapMap map, RangeMap ranges, long epoch) {
    SaidOfBlocks kept = new SaidOfBlocks();
    blocks.forEach((address, attributes) -> {
      int slab = map.findSlab(address);
      boolean isThere;
      if (slab < 0) {
        int range = ranges.find(address);
        isThere =
            range >= 0
                && ranges.start(range) == address
                && ranges.birth(range) <= attributes.epoch + 1;
      } else {
        long index = map.indexOf(slab, address);
        long[] bits = attributes.epoch + 1 < epoch ? map.old : map.live;
        isThere = (bits[map.wordOf(slab, index)] & map.bitOf(slab, index)) != 0;
      }
      if (isThere) {
        kept.blocks.put(address, attributes);
      }
    });
    return kept;
  }
}
