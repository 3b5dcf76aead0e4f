package io.memcg4j.caffeine;

import static java.lang.invoke.ConstantBootstraps.fieldVarHandle;
import static java.lang.invoke.MethodHandles.lookup;

import java.lang.invoke.VarHandle;

/** A cached value with what was charged for it. Weighed once: its value may change, this not. */
final class CachedEntry<V> {
  private static final VarHandle RELEASED =
      fieldVarHandle(lookup(), "released", VarHandle.class, CachedEntry.class, boolean.class);

  final V value;
  final int nrBytes;

  @SuppressWarnings("unused") // by RELEASED
  private volatile boolean released;

  CachedEntry(V value, int nrBytes) {
    this.value = value;
    this.nrBytes = nrBytes;
  }

  /** Whether the caller is the one who gives its bytes back: true once. */
  boolean release() {
    return RELEASED.compareAndSet(this, false, true);
  }
}
