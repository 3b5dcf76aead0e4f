package io.memcg4j.percpu;

import org.jspecify.annotations.Nullable;

/** A list of chunks that are linked through their own fields. Guarded by the allocator's lock. */
final class ChunkList {
  private @Nullable PercpuChunk first;

  @Nullable PercpuChunk first() {
    return first;
  }

  boolean isEmpty() {
    return first == null;
  }

  /** Puts a chunk in front, off the list that it was on. */
  void take(PercpuChunk chunk) {
    if (chunk.list == this) {
      return;
    }
    remove(chunk);
    PercpuChunk second = first;
    chunk.next = second;
    if (second != null) {
      second.previous = chunk;
    }
    first = chunk;
    chunk.list = this;
  }

  /** Takes a chunk off the list that it is on, if any. */
  static void remove(PercpuChunk chunk) {
    ChunkList list = chunk.list;
    if (list == null) {
      return;
    }
    PercpuChunk before = chunk.previous;
    PercpuChunk after = chunk.next;
    if (before == null) {
      list.first = after;
    } else {
      before.next = after;
    }
    if (after != null) {
      after.previous = before;
    }
    chunk.previous = null;
    chunk.next = null;
    chunk.list = null;
  }
}
