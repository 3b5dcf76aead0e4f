package io.memcg4j.benchmarks;

import io.memcg4j.benchmarks.Peer.Worker;
import java.util.Arrays;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Loops over objects that are Java objects. One kind is loaded in a fork, so its calls are compiled
 * in.
 *
 * @param <T> what an allocation returns
 */
@SuppressWarnings("unchecked") // what is in a batch, this class has put there
abstract class ObjectWorker<T> implements Worker {
  abstract T allocate(int size);

  abstract void free(T object);

  /** Writes a byte. */
  abstract void write(T object, int offset);

  /** Something that depends on the object's memory. */
  abstract long look(T object);

  /** Of a trace; peers that have no such operation are not asked. */
  T allocateZeroed(int size) {
    throw new UnsupportedOperationException("no zeroed objects: bytes=" + size);
  }

  /** Of a trace; peers that have no such operation are not asked. */
  T reallocate(T object, int size) {
    throw new UnsupportedOperationException("no reallocation: object=" + object + " bytes=" + size);
  }

  @Override
  public final Object batch(int nrObjects) {
    return new Object[nrObjects];
  }

  @Override
  public final void fill(Object batch, int size) {
    Object[] objects = (Object[]) batch;
    for (int i = 0; i < objects.length; i++) {
      objects[i] = allocate(size);
    }
  }

  @Override
  public final void freeAll(Object batch) {
    @Nullable Object[] objects = (Object[]) batch;
    for (Object object : objects) {
      if (object != null) {
        free((T) object);
      }
    }
    Arrays.fill(objects, null);
  }

  @Override
  public final void touch(Object batch) {
    for (Object object : (Object[]) batch) {
      write((T) object, 0);
    }
  }

  @Override
  public final long pairs(int count, int size) {
    long sum = 0;
    for (int i = 0; i < count; i++) {
      T object = allocate(size);
      sum += look(object);
      free(object);
    }
    return sum;
  }

  @Override
  public final void churn(Object batch, int[] places, int[] sizes) {
    @Nullable Object[] objects = (Object[]) batch;
    for (int i = 0; i < places.length; i++) {
      int place = places[i];
      if (objects[place] != null) {
        free((T) objects[place]);
      }
      objects[place] = written(allocate(sizes[i]), sizes[i]);
    }
  }

  @Override
  public final void replay(Object batch, Trace trace) {
    @Nullable Object[] objects = (Object[]) batch;
    int[] words = trace.words();
    long[] sizes = trace.sizes();
    for (int i = 0; i < words.length; i++) {
      int word = words[i];
      int id = Trace.id(word);
      int size = (int) Math.max(1, sizes[i]);
      int op = Trace.op(word);
      if (op == Trace.FREE) {
        free(live(objects, id));
        objects[id] = null;
      } else if (op == Trace.ZEROED) {
        objects[id] = written(allocateZeroed(size), size);
      } else if (op == Trace.REALLOCATE) {
        objects[id] = written(reallocate(live(objects, id), size), size);
      } else {
        objects[id] = written(allocate(size), size); // none of them can align
      }
    }
  }

  private T live(@Nullable Object[] objects, int id) {
    return (T) Objects.requireNonNull(objects[id]);
  }

  private T written(T object, int size) {
    write(object, 0);
    write(object, size - 1);
    return object;
  }
}
