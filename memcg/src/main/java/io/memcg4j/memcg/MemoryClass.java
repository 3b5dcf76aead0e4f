package io.memcg4j.memcg;

import java.util.Locale;

/** What memory is used for, as {@code memory.stat} tells. */
public enum MemoryClass {
  /** Objects of the slab allocator, and whatever else the floors above charge by pages. */
  SLAB(0),
  /** Memory that every slot has a copy of. */
  PERCPU(1),
  /** Large areas. */
  VMALLOC(2),
  /** Memory on the Java heap that was declared with a {@link Charge}. */
  HEAP(3),
  /** Network buffers of other libraries. */
  SOCK(4),
  /** Other memory of other libraries. */
  FOREIGN(5);

  private final int item;

  MemoryClass(int item) {
    this.item = item;
  }

  /** Its place in a {@link GroupStat}. */
  int item() {
    return item;
  }

  /**
   * The key in {@code memory.stat}.
   *
   * @return the name in lower case
   */
  public String key() {
    return name().toLowerCase(Locale.ROOT);
  }
}
