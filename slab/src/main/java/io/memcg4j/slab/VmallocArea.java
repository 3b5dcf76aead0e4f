package io.memcg4j.slab;

import io.memcg4j.objcg.ObjCgroup;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * An allocated area of {@link Vmalloc}, as it was at one moment: immutable, and of use also after
 * the area was freed, though it says nothing about that. For a leak scan, who holds it holds the
 * area.
 */
public sealed class VmallocArea permits LiveArea {
  private static final int PAGE_SHIFT = 12;

  private final long start;
  private final long nrBytes;
  private final long chargedBytes;
  private final long guardBytes;
  private final ObjCgroup payer;
  private final StackWalker.@Nullable StackFrame caller;

  VmallocArea(
      long start,
      long nrBytes,
      long chargedBytes,
      long guardBytes,
      ObjCgroup payer,
      StackWalker.@Nullable StackFrame caller) {
    this.start = start;
    this.nrBytes = nrBytes;
    this.chargedBytes = chargedBytes;
    this.guardBytes = guardBytes;
    this.payer = payer;
    this.caller = caller;
  }

  /** The same in a size of its own kind, or as another kind. */
  VmallocArea(VmallocArea from, long nrBytes, long chargedBytes) {
    this(from.start, nrBytes, chargedBytes, from.guardBytes, from.payer, from.caller);
  }

  ObjCgroup payer() {
    return payer;
  }

  /**
   * The first address.
   *
   * @return aligned to a page
   */
  public long start() {
    return start;
  }

  /**
   * The size that was asked for.
   *
   * @return bytes, at least 1
   */
  public long nrBytes() {
    return nrBytes;
  }

  /**
   * The bytes that may be used, and are charged: whole pages. Behind them is the guard page.
   *
   * @return bytes, at least {@link #nrBytes}
   */
  public long chargedBytes() {
    return chargedBytes;
  }

  /**
   * Whole pages of 4 KiB.
   *
   * @return at least 1
   */
  public long nrPages() {
    return chargedBytes >>> PAGE_SHIFT;
  }

  boolean contains(long address) {
    return Long.compareUnsigned(address - start, chargedBytes) < 0;
  }

  /**
   * Where the area was allocated, as {@code class.method:line}.
   *
   * @return the first frame outside {@link Vmalloc}; {@code "-"} if callers are not recorded
   */
  public String caller() {
    return caller == null
        ? "-"
        : String.format(
            Locale.ROOT,
            "%s.%s:%d",
            caller.getClassName(),
            caller.getMethodName(),
            caller.getLineNumber());
  }

  /**
   * The group that pays now.
   *
   * @return its path; the heir's if the group was removed; {@code /} if nobody is charged
   */
  public String tenant() {
    return payer.group().path();
  }

  /** Whether the other one shows the same place, size and payer. */
  @Override
  public final boolean equals(@Nullable Object other) {
    return other instanceof VmallocArea area
        && start == area.start
        && nrBytes == area.nrBytes
        && chargedBytes == area.chargedBytes
        && payer == area.payer;
  }

  @Override
  public final int hashCode() {
    return Long.hashCode(start) * 31 + Long.hashCode(nrBytes);
  }

  /**
   * The area as a line of {@code /proc/vmallocinfo}, with the tenant added: addresses and size
   * include the guard page there.
   *
   * @return one line without an end
   */
  @Override
  public String toString() {
    return String.format(
        Locale.ROOT,
        "0x%016x-0x%016x %7d %s pages=%d vmalloc tenant=%s",
        start,
        start + chargedBytes + guardBytes,
        chargedBytes + guardBytes,
        caller(),
        nrPages(),
        tenant());
  }
}
