package io.memcg4j.leak;

import java.util.Arrays;

/** A growing array of longs. For one thread. */
final class LongList {
  private long[] elements = new long[16];
  private int size;

  void add(long element) {
    if (size == elements.length) {
      elements = Arrays.copyOf(elements, size * 2);
    }
    elements[size++] = element;
  }

  long get(int index) {
    return elements[index];
  }

  long removeLast() {
    return elements[--size];
  }

  boolean isEmpty() {
    return size == 0;
  }

  int size() {
    return size;
  }

  void clear() {
    size = 0;
  }
}
