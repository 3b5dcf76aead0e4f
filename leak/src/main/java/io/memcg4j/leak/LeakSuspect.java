package io.memcg4j.leak;

import java.util.List;

/**
 * A block that nobody refers to, or only other such blocks.
 *
 * @param address of its first byte; of per-CPU memory its handle
 * @param nrBytes its size
 * @param cgroup path of the group that pays for it; empty for a block that was registered
 * @param removedCgroup path of the group in which it was allocated, if that was removed and {@code
 *     cgroup} inherited it; empty else
 * @param cache the cache it is of, or the name that it was registered with
 * @param checksum of its contents
 * @param nrScans scans in a row that found it unreferenced
 * @param heldBy address of the leaked block that refers to it, through which it will become
 *     reachable when that one is repaired; 0 for a root cause
 * @param ageNanos time since it was allocated, or at least that
 * @param isAgeExact whether the time of the allocation is known, as it is in debug mode, of guarded
 *     objects, and to a millisecond where the call site is
 * @param comm name of the thread that allocated it; empty if not known
 * @param pid id of that thread; 0 if not known
 * @param hexDump its first bytes; empty unless asked for
 * @param frames where it was allocated, innermost first; empty if not known
 */
public record LeakSuspect(
    long address,
    long nrBytes,
    String cgroup,
    String removedCgroup,
    String cache,
    int checksum,
    int nrScans,
    long heldBy,
    long ageNanos,
    boolean isAgeExact,
    String comm,
    long pid,
    String hexDump,
    List<StackTraceElement> frames) {
  /** Makes the list immutable. */
  public LeakSuspect {
    frames = List.copyOf(frames);
  }

  /**
   * Whether no other leaked block refers to it, but for its own part of a cycle.
   *
   * @return true if it is to be looked at first
   */
  public boolean isRootCause() {
    return heldBy == 0;
  }

  /** How many bytes a dump shows. */
  static int nrBytesOf(String hexDump) {
    return hexDump
        .lines()
        .mapToInt(row -> row.substring(4, row.indexOf("  ", 4) + 1).length() / 3)
        .sum();
  }

  /** Rows of 16 bytes with their characters, as kmemleak prints them. */
  static String hexDumpOf(byte[] bytes) {
    StringBuilder text = new StringBuilder();
    for (int row = 0; row < bytes.length; row += 16) {
      StringBuilder characters = new StringBuilder();
      text.append("    ");
      for (int i = row; i < Math.min(row + 16, bytes.length); i++) {
        int b = bytes[i] & 0xff;
        text.append(Character.forDigit(b >>> 4, 16)).append(Character.forDigit(b & 15, 16));
        text.append(' ');
        characters.append(b >= 0x20 && b < 0x7f ? (char) b : '.');
      }
      text.append(' ').append(characters).append(System.lineSeparator());
    }
    return text.toString();
  }
}
