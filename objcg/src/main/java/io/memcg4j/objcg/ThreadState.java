package io.memcg4j.objcg;

import org.jspecify.annotations.Nullable;

/** What one thread has in one instance: its innermost scope and the slot that it held last. */
final class ThreadState {
  final Thread thread = Thread.currentThread();
  @Nullable Scope scope;
  int slotHint = (int) (thread.threadId() & 0x7fff_ffff);
}
