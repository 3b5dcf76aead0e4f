package io.memcg4j.percpu;

import java.util.function.Consumer;
import java.util.function.IntFunction;

/**
 * One value for every slot of an instance. The owner of a slot uses its value with plain access.
 *
 * <p>Values are made at once; each should keep its hot fields in an object of its own, as
 * neighbours belong to other threads.
 *
 * <p>Origin: static per-CPU variables of Linux ({@code DEFINE_PER_CPU}).
 *
 * @param <T> type of the value
 */
public final class PerCpu<T> {
  private final Object[] values;

  /**
   * Makes a value for every slot.
   *
   * @param slots the slots of the instance
   * @param factory makes the value for a slot index
   */
  public PerCpu(CpuSlots slots, IntFunction<? extends T> factory) {
    values = new Object[slots.nrSlots()];
    for (int i = 0; i < values.length; i++) {
      values[i] = factory.apply(i);
    }
  }

  /**
   * The value of a slot.
   *
   * @param slot a slot that the caller owns
   * @return its value
   */
  public T get(CpuSlot slot) {
    return get(slot.index());
  }

  /**
   * The value at an index: for statistics that read racily, or for a slot that the caller owns.
   *
   * @param index {@code 0..nrSlots-1}
   * @return the value of that slot
   */
  @SuppressWarnings("unchecked") // only factory results are stored
  public T get(int index) {
    return (T) values[index];
  }

  /**
   * Visits all values, whoever owns them.
   *
   * @param action what to do with each value; must expect concurrent owners
   */
  public void forEach(Consumer<? super T> action) {
    for (int i = 0; i < values.length; i++) {
      action.accept(get(i));
    }
  }
}
