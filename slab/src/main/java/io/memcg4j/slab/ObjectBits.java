package io.memcg4j.slab;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;

/** A bit per object of a slab, for what only some slabs need. Any thread; atomic. */
final class ObjectBits {
  private static final VarHandle WORD = MethodHandles.arrayElementVarHandle(long[].class);

  private final long[] words;

  ObjectBits(int nrWords) {
    words = new long[nrWords];
  }

  /** Sets a bit; false if it was set. */
  boolean set(int word, long bit) {
    return ((long) WORD.getAndBitwiseOr(words, word, bit) & bit) == 0;
  }

  /** Clears a bit; false if it was clear. */
  boolean clear(int word, long bit) {
    return ((long) WORD.getAndBitwiseAnd(words, word, ~bit) & bit) != 0;
  }

  long get(int word) {
    return (long) WORD.getVolatile(words, word);
  }
}
