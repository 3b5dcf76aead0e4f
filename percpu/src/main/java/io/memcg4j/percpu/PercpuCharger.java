package io.memcg4j.percpu;

import org.jspecify.annotations.Nullable;

/** Who pays for the objects of a {@link PercpuAllocator}, and which slot a caller has. */
public interface PercpuCharger {
  /** The payer of what nobody is charged for. */
  int NOBODY = 0;

  /** No payer: the charge was refused. */
  int REFUSED = -1;

  /**
   * Charges to whoever pays on this thread now. Called with no lock held; may run reclaim.
   *
   * @param nrBytes at least 1
   * @param mayFail whether a refusal is {@link #REFUSED} instead of an exception
   * @return who paid, a number that stays theirs until {@link #uncharge}; or {@link #NOBODY}
   * @throws RuntimeException if refused without {@code mayFail}
   */
  int charge(long nrBytes, boolean mayFail);

  /**
   * Gives a charge back. Any thread, no lock held.
   *
   * @param payer what {@link #charge} returned; {@link #NOBODY} has nothing to give back
   * @param nrBytes the same as then
   */
  void uncharge(int payer, long nrBytes);

  /**
   * The exception for a request that was charged, but for which there is no memory.
   *
   * @param nrBytes what was asked for
   * @param mappedBytes memory in use by the allocator
   * @param rangeBytes the most it could have
   * @return the exception, not thrown
   */
  RuntimeException mappingRefused(long nrBytes, long mappedBytes, long rangeBytes);

  /**
   * The slot that the calling thread owns.
   *
   * @return a slot; null or {@link CpuSlots#overflow} if it has none of its own
   */
  @Nullable CpuSlot currentSlot();
}
