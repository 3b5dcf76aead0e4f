package io.memcg4j.leak;

import io.memcg4j.slab.ObjectSnapshot;
import io.memcg4j.slab.ObjectTracking;
import java.util.Arrays;

/**
 * What one scan sees of an allocator, of what is registered, and of what was said: for each look.
 */
final class Snapshots implements Scan.Source {
  private final ObjectTracking tracking;
  private final KnownBlocks known;
  private final OutsideBlocks outside;
  private final HeapMap first;
  private ObjectSnapshot last;
  private RangeMap ranges;
  private Marker.Specials said;
  private boolean isTaken;
  private int epoch;

  /** Looks for the first time. */
  Snapshots(ObjectTracking tracking, KnownBlocks known, OutsideBlocks outside) {
    this.tracking = tracking;
    this.known = known;
    this.outside = outside;
    last = tracking.snapshot();
    first = HeapMap.of(last);
    ranges = rangesNow();
    said = known.said(first, ranges);
  }

  /** All later looks are in this epoch. */
  void expect(int newEpoch) {
    epoch = newEpoch;
  }

  HeapMap first() {
    return first;
  }

  /** As of the last look. */
  ObjectSnapshot last() {
    return last;
  }

  private RangeMap rangesNow() {
    return known.ranges().with(outside.look(tracking));
  }

  @Override
  public HeapMap map() {
    if (!isTaken) {
      isTaken = true;
      return first;
    }
    last = tracking.snapshot();
    HeapMap map = HeapMap.of(last);
    if (last.epoch() != epoch) {
      Arrays.fill(map.old, 0); // another scanner's epoch: old in it may be new to this scan
    }
    ranges = rangesNow();
    said = known.said(map, ranges);
    return map;
  }

  @Override
  public RangeMap ranges() {
    return ranges;
  }

  @Override
  public Marker.Specials specials() {
    return said;
  }
}
