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
  static final Attributes NONE = new Attributes(Colour.WHITE, false, List.of(), 0);

  final Colour colour;
  final boolean noScan;

  /** The only parts to look for references in; the whole block if empty. */
  final List<Area> areas;

  /** A handle of the call site that stands for the one of the allocation; 0 if none was given. */
  final int trace;

  private Attributes(Colour colour, boolean noScan, List<Area> areas, int trace) {
    this.colour = colour;
    this.noScan = noScan;
    this.areas = areas;
    this.trace = trace;
  }

  Attributes as(Colour newColour) {
    return new Attributes(newColour, noScan, areas, trace);
  }

  Attributes unscanned() {
    return new Attributes(colour, true, areas, trace);
  }

  Attributes with(Area area) {
    List<Area> more = new ArrayList<>(areas);
    more.add(area);
    return new Attributes(colour, noScan, List.copyOf(more), trace);
  }

  Attributes from(int newTrace) {
    return new Attributes(colour, noScan, areas, newTrace);
  }

  /** Whether a scan has to know of this. */
  boolean isSpecial() {
    return colour != Colour.WHITE || noScan || !areas.isEmpty();
  }
}
