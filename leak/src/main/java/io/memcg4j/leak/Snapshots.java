package io.memcg4j.leak;

import io.memcg4j.slab.ObjectSnapshot;
import io.memcg4j.slab.ObjectTracking;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.function.LongConsumer;

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

  @Override
  public void readYoung(Remembered before, LongConsumer sink, Pace pace) {
    tracking.forEachYoung((address, nrBytes) -> {
      pace.check();
      if (said.of(address) == null) {
        long end = address + nrBytes - Long.BYTES;
        for (long at = (address + Long.BYTES - 1) & -Long.BYTES; at <= end; at += Long.BYTES) {
          sink.accept(Memory.ALL.get(ValueLayout.JAVA_LONG_UNALIGNED, at));
        }
      }
    });
    RangeMap now = rangesNow();
    for (int range = 0; range < now.size(); range++) {
      if (!before.isOld(now, range) && said.of(now.start(range)) == null) {
        RangeWords.read(now, range, now.start(range), now.end(range), sink, pace);
      }
    }
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
