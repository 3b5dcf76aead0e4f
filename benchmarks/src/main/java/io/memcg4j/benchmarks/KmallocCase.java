package io.memcg4j.benchmarks;

import io.memcg4j.memcg.MemCgroup;
import java.util.Arrays;

/** Whose group the objects are charged to, and how the caller reaches the allocator. */
enum KmallocCase {
  USER_BOUND("user/bound", true, true),
  USER_STATIC("user/static", true, false),
  ROOT_BOUND("root/bound", false, true),
  ROOT_STATIC("root/static", false, false);

  private static final long GIB = 1L << 30;

  private final String text;
  private final boolean user;
  private final boolean bound;

  KmallocCase(String text, boolean user, boolean bound) {
    this.text = text;
    this.user = user;
    this.bound = bound;
  }

  static KmallocCase of(String text) {
    return Arrays.stream(values())
        .filter(value -> value.text.equals(text))
        .findFirst()
        .orElseThrow(() -> new IllegalArgumentException("unknown case: name=" + text));
  }

  /** As in the reports. */
  String text() {
    return text;
  }

  boolean isUser() {
    return user;
  }

  /** Whether the caller holds the bound allocator, rather than have it found by its thread. */
  boolean isBound() {
    return bound;
  }

  /** The group of this case: the root, or one three deep with a limit at each level. */
  MemCgroup groupBelow(MemCgroup root) {
    return user ? userGroup(root, "tenant") : root;
  }

  /** A group three deep with a limit at each level; none of them is ever hit. */
  static MemCgroup userGroup(MemCgroup root, String name) {
    MemCgroup group = root;
    for (int depth = 1; depth <= 3; depth++) {
      group = group.create(name + depth);
      group.setMax(16 * GIB / depth);
    }
    return group;
  }
}
