package io.memcg4j.memcg;

import java.util.concurrent.atomic.AtomicLong;

/** Memory that can be given back: a charge and the shrinker that lowers it. */
final class FakeCache implements Shrinker {
  final Charge charge;
  final AtomicLong nrScans = new AtomicLong();
  private final ShrinkerRegistration registration;

  FakeCache(MemCgroup group, long nrBytes) {
    charge = group.charge("cache", MemoryClass.HEAP);
    charge.set(nrBytes);
    registration = group.addShrinker(this);
  }

  ShrinkerRegistration registration() {
    return registration;
  }

  @Override
  public long count() {
    return charge.nrBytes();
  }

  @Override
  public long scan(long nrBytes) {
    nrScans.incrementAndGet();
    long take = Math.min(nrBytes, charge.nrBytes());
    charge.add(-take, ChargeMode.NORMAL);
    return take;
  }
}
