package io.memcg4j.slab;

import io.memcg4j.percpu.Srcu;
import java.util.Locale;
import java.util.concurrent.atomic.AtomicInteger;

/** Who may be looking at objects of an allocator that others free. */
final class Readers {
  /*
   * Layout     per thread the number of its open sections, shared with each of them, as another
   *            thread may close one. Only to tell a thread that it would wait for itself.
   */
  private final Srcu srcu = new Srcu();
  private final ThreadLocal<AtomicInteger> nrSections = ThreadLocal.withInitial(AtomicInteger::new);

  Srcu srcu() {
    return srcu;
  }

  ReadSection enter() {
    AtomicInteger mine = nrSections.get();
    mine.getAndIncrement();
    return new ReadSection(srcu, mine);
  }

  /** Before waiting for readers. */
  void requireOutside(String what) {
    int nrOpen = nrSections.get().get();
    if (nrOpen != 0) {
      throw new IllegalStateException(
          String.format(
              Locale.ROOT,
              "%s inside a read section: would wait for itself: thread=%s nrSections=%d",
              what,
              Thread.currentThread(),
              nrOpen));
    }
  }
}
