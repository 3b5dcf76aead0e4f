package io.memcg4j.leak;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** A map from the ids of a heap dump, which are addresses, to values. For one thread. */
final class IdTable<T> {
  private static final int MIN_CAPACITY = 64;

  private long[] keys = new long[MIN_CAPACITY];
  private @Nullable Object[] values = new @Nullable Object[MIN_CAPACITY];
  private int size;

  /** The value of an id; null if it has none. */
  @SuppressWarnings("unchecked")
  @Nullable T get(long id) {
    int mask = keys.length - 1;
    for (int i = hash(id) & mask; ; i = (i + 1) & mask) {
      Object value = values[i];
      if (value == null || keys[i] == id) {
        return (T) value;
      }
    }
  }

  boolean contains(long id) {
    return get(id) != null;
  }

  void put(long id, T value) {
    if (size >= keys.length / 2) {
      grow();
    }
    if (insert(id, value)) {
      size++;
    }
  }

  void remove(long id) {
    int mask = keys.length - 1;
    int i = hash(id) & mask;
    while (values[i] != null && keys[i] != id) {
      i = (i + 1) & mask;
    }
    if (values[i] == null) {
      return;
    }
    size--;
    // Those behind it close the gap, unless they stand at or before it by their hash.
    for (int j = (i + 1) & mask; values[j] != null; j = (j + 1) & mask) {
      if (((j - hash(keys[j])) & mask) >= ((j - i) & mask)) {
        keys[i] = keys[j];
        values[i] = values[j];
        i = j;
      }
    }
    values[i] = null;
  }

  private boolean insert(long id, Object value) {
    int mask = keys.length - 1;
    int i = hash(id) & mask;
    while (values[i] != null && keys[i] != id) {
      i = (i + 1) & mask;
    }
    boolean isNew = values[i] == null;
    keys[i] = id;
    values[i] = value;
    return isNew;
  }

  private void grow() {
    long[] oldKeys = keys;
    @Nullable Object[] oldValues = values;
    keys = new long[oldKeys.length * 2];
    values = Arrays.copyOf(new @Nullable Object[0], keys.length);
    for (int i = 0; i < oldKeys.length; i++) {
      Object value = oldValues[i];
      if (value != null) {
        insert(oldKeys[i], value);
      }
    }
  }

  /** Gets an id and its value. */
  interface Each<T> {
    void accept(long id, T value);
  }

  @SuppressWarnings("unchecked")
  void forEach(Each<T> each) {
    for (int i = 0; i < keys.length; i++) {
      Object value = values[i];
      if (value != null) {
        each.accept(keys[i], (T) value);
      }
    }
  }

  int size() {
    return size;
  }

  private static int hash(long id) {
    long mixed = (id >>> 3) * 0x9E3779B97F4A7C15L;
    return (int) (mixed >>> 32);
  }
}
