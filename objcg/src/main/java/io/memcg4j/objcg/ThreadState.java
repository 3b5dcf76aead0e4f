package io.memcg4j.objcg;

import org.jspecify.annotations.Nullable;

/**
 * What one thread has in one instance, for when the short way from its id to its scopes fails. The
 * thread may outlive the instance: nothing of it may be reached from here outside a scope.
 */
final class ThreadState {
  /** The slot that it held last. */
  int slotHint;

  /** Its scopes if they are open on no slot. */
  @Nullable SlotScopes overflow;

  ThreadState(int slotHint) {
    this.slotHint = slotHint;
  }
}
