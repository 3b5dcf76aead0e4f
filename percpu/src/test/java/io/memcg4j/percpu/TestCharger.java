package io.memcg4j.percpu;

import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicLongArray;
import org.jspecify.annotations.Nullable;

/** Payers with a sum each, and one limit for all. */
final class TestCharger implements PercpuCharger {
  final AtomicLongArray charged = new AtomicLongArray(16);
  final AtomicLong total = new AtomicLong();
  volatile long limit = Long.MAX_VALUE;

  /** Who pays for the next charge, on whatever thread. */
  volatile int payer = 1;

  volatile @Nullable CpuSlot slot;

  @Override
  public int charge(long nrBytes, boolean mayFail) {
    int mine = payer;
    if (mine == NOBODY) {
      return NOBODY;
    }
    if (total.addAndGet(nrBytes) > limit) {
      total.addAndGet(-nrBytes);
      if (mayFail) {
        return REFUSED;
      }
      throw new IllegalStateException("refused: nrBytes=" + nrBytes);
    }
    charged.addAndGet(mine, nrBytes);
    return mine;
  }

  @Override
  public void uncharge(int who, long nrBytes) {
    if (who <= NOBODY || charged.addAndGet(who, -nrBytes) < 0) {
      throw new AssertionError("uncharged too much: payer=" + who + " nrBytes=" + nrBytes);
    }
    total.addAndGet(-nrBytes);
  }

  @Override
  public RuntimeException mappingRefused(long nrBytes, long mappedBytes, long rangeBytes) {
    return new UnsupportedOperationException("no memory: nrBytes=" + nrBytes);
  }

  @Override
  public @Nullable CpuSlot currentSlot() {
    return slot;
  }
}
