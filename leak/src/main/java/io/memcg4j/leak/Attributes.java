package io.memcg4j.leak;

import java.util.ArrayList;
import java.util.List;

/** What the application has said of one block. Immutable. */
final class Attributes {
  /** What a block counts as. */
  enum Colour {
    /** Leaked if nobody refers to it. */
    WHITE,
    /** Never leaked, and what it refers to is not either. */
    GRAY,
    /** Never leaked; its contents are no references. */
    BLACK
  }

  /** A part of a block, from its start. */
  record Area(long offset, long nrBytes) {}

  /** Nothing has been said. */
  static final Attributes NONE = new Attributes(Colour.WHITE, false, List.of(), 0, 0);

  final Colour colour;
  final boolean noScan;

  /** The only parts to look for references in; the whole block if empty. */
  final List<Area> areas;

  /** A handle of the call site that stands for the one of the allocation; 0 if none was given. */
  final int trace;

  /** The epoch in which something was said the last time. */
  final long epoch;

  private Attributes(Colour colour, boolean noScan, List<Area> areas, int trace, long epoch) {
    this.colour = colour;
    this.noScan = noScan;
    this.areas = areas;
    this.trace = trace;
    this.epoch = epoch;
  }

  Attributes as(Colour newColour, long now) {
    return new Attributes(newColour, noScan, areas, trace, now);
  }

  Attributes unscanned(long now) {
    return new Attributes(colour, true, areas, trace, now);
  }

  Attributes with(Area area, long now) {
    List<Area> more = new ArrayList<>(areas);
    more.add(area);
    return new Attributes(colour, noScan, List.copyOf(more), trace, now);
  }

  Attributes from(int newTrace, long now) {
    return new Attributes(colour, noScan, areas, newTrace, now);
  }

  /** Whether a scan has to know of this. */
  boolean isSpecial() {
    return colour != Colour.WHITE || noScan || !areas.isEmpty();
  }
}
