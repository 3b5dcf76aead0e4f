package io.memcg4j.slab;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * An arena of one thread: all fields are plain. Its segments belong to a confined session of the
 * JDK, which ends before the memory is given back.
 */
final class ConfinedArena extends AccountedArena {
  private final Thread owner = Thread.currentThread();
  private final Arena session = Arena.ofConfined();

  /** What is held, the newest first; the link is kept on the heap, never in the memory. */
  private @Nullable Held held;

  /** The block that is cut: its segment, where it starts, what is free of it. */
  private MemorySegment block = MemorySegment.NULL;

  private long blockStart;
  private long nextFree;
  private long blockEnd;

  private record Held(long address, long nrBytes, @Nullable Held next) {}

  ConfinedArena(Kmalloc kmalloc) {
    super(kmalloc);
  }

  @Override
  public MemorySegment allocate(long byteSize, long byteAlignment) {
    requireOwner();
    checkRequest(byteSize, byteAlignment);
    long start = (nextFree + byteAlignment - 1) & -byteAlignment;
    // Before the first block, and once closed, there is no room, so that the slow path looks.
    if (byteSize <= blockEnd - start && byteSize != 0 && start > 0) {
      nextFree = start + byteSize;
      return block.asSlice(start - blockStart, byteSize);
    }
    return allocateSlow(byteSize, byteAlignment);
  }

  private MemorySegment allocateSlow(long byteSize, long byteAlignment) {
    if (!session.scope().isAlive()) {
      throw alreadyClosed();
    }
    if (byteSize == 0) {
      return Mmap.segment(byteAlignment, 0, session); // its address is all that it has
    }
    if (!isCut(byteSize, byteAlignment)) {
      return hold(allocateObject(byteSize, byteAlignment), byteSize);
    }
    long nrBytes = blockSize(blockEnd - blockStart, byteSize, byteAlignment);
    block = hold(allocateBlock(nrBytes), nrBytes);
    blockStart = block.address();
    blockEnd = blockStart + nrBytes;
    nextFree = blockStart + byteSize; // aligned to its size, so to what is asked for
    return block.asSlice(0, byteSize);
  }

  private MemorySegment hold(long address, long nrBytes) {
    held = new Held(address, nrBytes, held);
    return Mmap.segment(address, nrBytes, session);
  }

  @Override
  public MemorySegment.Scope scope() {
    return session.scope();
  }

  @Override
  public long heldBytes() {
    requireOwner();
    long sum = 0;
    for (Held one = held; one != null; one = one.next) {
      sum += Kmalloc.roundUp(one.nrBytes);
    }
    return sum;
  }

  @Override
  public void close() {
    requireOwner();
    if (!session.scope().isAlive()) {
      throw alreadyClosed();
    }
    try {
      session.close();
    } finally {
      // An action that was attached to the session may have thrown: it has ended all the same.
      if (!session.scope().isAlive()) {
        freeAll();
      }
    }
  }

  private void freeAll() {
    Held first = held;
    held = null;
    blockEnd = 0;
    nextFree = 0;
    RuntimeException failure = null;
    for (Held one = first; one != null; one = one.next) {
      try {
        kmalloc.free(one.address);
      } catch (IllegalArgumentException e) {
        failure = e; // freed behind the arena's back; the others are still to be freed
      }
    }
    if (failure != null) {
      throw failure;
    }
  }

  private void requireOwner() {
    if (owner != Thread.currentThread()) {
      throw new WrongThreadException(
          String.format(
              Locale.ROOT,
              "confined arena used by another thread: owner=%s caller=%s",
              owner,
              Thread.currentThread()));
    }
  }
}
