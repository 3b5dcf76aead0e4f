package io.memcg4j.leak;

import io.memcg4j.slab.LiveBlock;
import java.util.function.LongPredicate;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/** What the application has said of blocks, by address. Not thread-safe. */
final class SaidOfBlocks implements Marker.Specials {
  /*
   * Same block an object of a slab is watched, so that one that takes its place is told from it at once;
   *            an area and a guarded object have an identity; what is registered is forgotten when it is
   *            unregistered.
   * Not        that a block is told from the one whose place it takes if that was per-CPU memory, or an
   * guaranteed object that was freed and allocated again just before something was said of it, by a
   *            thread that was in the middle of a scope, unless it said so itself: it may inherit what was
   *            said until the second scan after that.
   */
  /** What tells the block of which something was said from others at its address. */
  record Identity(boolean isWatched, @Nullable Object object, long epoch) {}

  private record Said(Attributes attributes, Identity identity) {}

  private final IdTable<Said> blocks = new IdTable<>();

  @Override
  public @Nullable Attributes of(long address) {
    Said said = blocks.get(address);
    return said == null ? null : said.attributes;
  }

  /** As which block the one at an address was known when something was said of it. */
  @Nullable Identity identityOf(long address) {
    Said said = blocks.get(address);
    return said == null ? null : said.identity;
  }

  void change(long address, Identity identity, UnaryOperator<Attributes> by) {
    Attributes now = of(address);
    blocks.put(address, new Said(by.apply(now == null ? Attributes.NONE : now), identity));
  }

  void forget(long address) {
    blocks.remove(address);
  }

  @Override
  public void forEach(Each each) {
    blocks.forEach((address, said) -> each.accept(address, said.attributes));
  }

  @Override
  public boolean isEmpty() {
    return blocks.size() == 0;
  }

  /**
   * A copy without what was said of blocks that are gone.
   *
   * @param isWatched of an address: whether the object there is the watched one
   * @param epoch the current one
   */
  SaidOfBlocks stillTrue(HeapMap map, RangeMap ranges, LongPredicate isWatched, long epoch) {
    SaidOfBlocks kept = new SaidOfBlocks();
    blocks.forEach((address, said) -> {
      Identity identity = said.identity;
      int slab = map.findSlab(address);
      boolean isThere;
      if (slab < 0) {
        int range = ranges.find(address);
        isThere = range >= 0 && ranges.start(range) == address && isOf(ranges, range, identity);
      } else {
        long index = map.indexOf(slab, address);
        long[] bits = !identity.isWatched && identity.epoch + 1 < epoch ? map.old : map.live;
        isThere =
            (bits[map.wordOf(slab, index)] & HeapMap.bitOf(index)) != 0
                && (!identity.isWatched || isWatched.test(address));
      }
      if (isThere) {
        kept.blocks.put(address, said);
      }
    });
    return kept;
  }

  private static boolean isOf(RangeMap ranges, int range, Identity identity) {
    LiveBlock block = ranges.block(range);
    Object object = block == null ? null : block.identity();
    return object == identity.object
        && (object != null || ranges.birth(range) <= identity.epoch + 1);
  }
}
