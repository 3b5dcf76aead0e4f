package io.memcg4j.slab;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;

import java.util.Locale;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** What debug mode knows of one object, and the patterns around and in it. */
final class DebugObject {
  /*
   * Layout     [base - left, base): left zone. [base, base + nrBytes): what was asked for.
   *            [base + nrBytes, base - left + stride): right zone, the unused tail of the class included.
   * Locks      its own monitor, for the state and the patterns; nothing is called with it held that
   *            takes another lock.
   * Origin     the object layout of Linux mm/slub.c with its zones and patterns.
   */
  static final int ACTIVE = 0xcc;
  static final int INACTIVE = 0xbb;
  static final int POISON = 0x6b;
  static final int POISON_END = 0xa5;

  /** Times a byte: a word of it. */
  private static final long BYTES_OF_WORD = 0x0101_0101_0101_0101L;

  enum State {
    /** Nothing is known of its bytes. */
    UNTOUCHED,
    LIVE,
    /** Freed by its owner, not yet by the allocator. */
    HELD_BACK,
    /** Free, with patterns. */
    FREED
  }

  final long base;
  private final int left;
  private final int stride;
  State state = State.UNTOUCHED;
  Set<DebugFlag> flags = Set.of();
  int nrBytes;
  SlabEvent allocated = SlabEvent.NONE;
  SlabEvent freed = SlabEvent.NONE;

  DebugObject(long base, SlabGeometry geometry) {
    this.base = base;
    this.left = geometry.leftBytes();
    this.stride = geometry.objectSize();
  }

  /** The first byte that is not as it must be. */
  record Fault(String area, long address, int found, int expected) {
    String text(long slabBase) {
      return String.format(
          Locale.ROOT,
          "0x%x @offset=%d. First byte 0x%x instead of 0x%x",
          address,
          address - slabBase,
          found,
          expected);
    }
  }

  void paint() {
    boolean live = state == State.LIVE;
    if (flags.contains(DebugFlag.RED_ZONE)) {
      fill(base - left, base, live ? ACTIVE : INACTIVE);
      fill(base + nrBytes, end(), live ? ACTIVE : INACTIVE);
    }
    if (!live && flags.contains(DebugFlag.POISON) && nrBytes > 0) {
      fill(base, base + nrBytes - 1, POISON);
      fill(base + nrBytes - 1, base + nrBytes, POISON_END);
    }
  }

  /** Looks for a byte that is wrong, and mends the area that it is in; null if all is well. */
  @Nullable Fault checkAndMend() {
    if (state == State.UNTOUCHED) {
      return null;
    }
    boolean live = state == State.LIVE;
    Fault fault = null;
    if (flags.contains(DebugFlag.RED_ZONE)) {
      int zone = live ? ACTIVE : INACTIVE;
      fault = find("Left Redzone", base - left, base, zone);
      fault = fault != null ? fault : find("Right Redzone", base + nrBytes, end(), zone);
    }
    if (fault == null && !live && flags.contains(DebugFlag.POISON) && nrBytes > 0) {
      fault = find("Poison", base, base + nrBytes - 1, POISON);
      fault =
          fault != null
              ? fault
              : find("End Poison", base + nrBytes - 1, base + nrBytes, POISON_END);
    }
    if (fault != null) {
      paint();
    }
    return fault;
  }

  private long end() {
    return base - left + stride;
  }

  private static void fill(long from, long to, int value) {
    Mmap.MEMORY.asSlice(from, to - from).fill((byte) value);
  }

  /**
   * All bytes of a slab's objects are looked at at each operation, so by words while all is well.
   */
  private static @Nullable Fault find(String area, long from, long to, int expected) {
    long address = from;
    long word = expected * BYTES_OF_WORD;
    while (address <= to - Long.BYTES && Mmap.MEMORY.get(JAVA_LONG_UNALIGNED, address) == word) {
      address += Long.BYTES;
    }
    for (; address < to; address++) {
      int found = Mmap.MEMORY.get(JAVA_BYTE, address) & 0xff;
      if (found != expected) {
        return new Fault(area, address, found, expected);
      }
    }
    return null;
  }

  /** Rows of 16 bytes: the zone before, the object up to a limit, the zone after. */
  void dump(StringBuilder text) {
    rows("Redzone", base - Math.min(left, 16), base, text);
    rows("Object", base, base + Math.min(nrBytes, 64), text);
    rows("Redzone", base + nrBytes, Math.min(end(), base + nrBytes + 16), text);
  }

  private static void rows(String label, long from, long to, StringBuilder text) {
    for (long row = from; row < to; row += 16) {
      text.append(String.format(Locale.ROOT, "%-8s 0x%x:", label, row));
      for (long address = row; address < Math.min(to, row + 16); address++) {
        text.append(String.format(Locale.ROOT, " %02x", Mmap.MEMORY.get(JAVA_BYTE, address)));
      }
      text.append(System.lineSeparator());
    }
  }
}
