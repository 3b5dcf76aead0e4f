package io.memcg4j.soak;

import io.memcg4j.slab.FaultInjection;
import io.memcg4j.slab.FaultKind;
import io.memcg4j.slab.FaultSettings;
import java.util.SplittableRandom;

/** Makes memory run out that does not, for one kind after the other, with quiet times between. */
final class Faults {
  private final Subject subject;
  private final SplittableRandom random;
  private int second;

  Faults(Subject subject, SplittableRandom random) {
    this.subject = subject;
    this.random = random;
  }

  /** Once a second. */
  void turn() {
    FaultInjection faults = subject.kmalloc.faults();
    FaultKind[] kinds = FaultKind.values();
    if (second % 2 == 1) {
      faults.off();
    } else {
      FaultKind kind = kinds[second / 2 % kinds.length];
      FaultSettings settings = FaultSettings.of(kind).withSeed(random.nextLong());
      // Rare kinds fail often, so that each has its share.
      faults.set(
          switch (kind) {
            case SLAB, CHARGE -> settings.withInterval(random.nextInt(20, 200));
            case PAGES -> settings.withProbability(30);
            case VMALLOC, PERCPU -> settings.withProbability(20);
          });
    }
    second++;
  }

  void end() {
    subject.kmalloc.faults().off();
    for (FaultKind kind : FaultKind.values()) {
      long failed = subject.kmalloc.faults().count(kind).nrFailed();
      subject.tally.injected(Injection.of(kind), failed);
      // Each came back as a refusal: had one been thrown as something else, a thread had failed.
      subject.tally.survived(Injection.of(kind), failed);
    }
  }
}
