package io.memcg4j.slab;

import static java.lang.invoke.ConstantBootstraps.fieldVarHandle;
import static java.lang.invoke.MethodHandles.lookup;

import java.lang.foreign.MemorySegment;
import java.lang.invoke.VarHandle;
import org.jspecify.annotations.Nullable;

/** An arena of any thread, whose memory waits for the end of a session that it may share. */
final class SharedArena extends AccountedArena {
  /*
   * Layout     home is the session of the arena, joined when the first block is taken; own is one
   *            without other members, for what home has no room for. blocks is a list that only
   *            grows until close takes it whole.
   * Invariant  whoever took a block either finds it in the list that close takes, or finds the
   *            arena closed and frees the block itself: nobody has seen a segment of it.
   *            A membership is left once: by close, or by the thread whose batch did not become
   *            home (or own).
   * Ordering   close: exchange blocks for CLOSED, then home and own for GONE. Joining: exchange
   *            null for the batch, then push the block. All volatile, so a push that succeeds comes
   *            before close, with its batch in place.
   * Locks      none: a charge may call shrinkers and policies.
   * Not        that an allocation which overlaps close throws: it may return a segment, which stops
   * guaranteed working as those before it do.
   */
  private static final VarHandle BLOCKS =
      fieldVarHandle(lookup(), "blocks", VarHandle.class, SharedArena.class, ArenaBlock.class);
  private static final VarHandle HOME =
      fieldVarHandle(lookup(), "home", VarHandle.class, SharedArena.class, SessionBatch.class);
  private static final VarHandle OWN =
      fieldVarHandle(lookup(), "own", VarHandle.class, SharedArena.class, SessionBatch.class);

  private final ArenaSessions sessions;
  private volatile @Nullable ArenaBlock blocks;
  private volatile @Nullable SessionBatch home;
  private volatile @Nullable SessionBatch own;

  /** The block that is cut now. Racy: two threads may both replace it, and the rest is lost. */
  private volatile @Nullable ArenaBlock current;

  SharedArena(Kmalloc kmalloc) {
    super(kmalloc);
    this.sessions = kmalloc.allocator().arenas();
  }

  @Override
  public MemorySegment allocate(long byteSize, long byteAlignment) {
    checkRequest(byteSize, byteAlignment);
    requireOpen();
    if (byteSize == 0) {
      return Mmap.segment(byteAlignment, 0, batchFor(0).session());
    }
    if (!isCut(byteSize, byteAlignment)) {
      return take(byteSize, byteAlignment, false).segment;
    }
    ArenaBlock block = current;
    MemorySegment segment = block == null ? null : block.cut(byteSize, byteAlignment);
    while (segment == null) {
      block = take(byteSize, byteAlignment, true);
      segment = block.cut(byteSize, byteAlignment);
      current = block;
    }
    return segment;
  }

  /** Takes memory and puts it into the list. */
  private ArenaBlock take(long byteSize, long byteAlignment, boolean isCut) {
    ArenaBlock last = current;
    long nrBytes =
        isCut ? blockSize(last == null ? 0 : last.nrBytes, byteSize, byteAlignment) : byteSize;
    long heldBytes = Kmalloc.roundUp(nrBytes);
    SessionBatch batch = batchFor(heldBytes);
    long address = Kmalloc.NULL;
    boolean listed = false;
    try {
      address = isCut ? allocateBlock(nrBytes) : allocateObject(byteSize, byteAlignment);
      ArenaBlock block = new ArenaBlock(address, nrBytes, batch);
      push(block);
      listed = true;
      return block;
    } finally {
      if (!listed) {
        kmalloc.free(address);
        batch.unreserve(heldBytes);
      }
    }
  }

  private void push(ArenaBlock block) {
    ArenaBlock first;
    do {
      first = blocks;
      if (first == ArenaBlock.CLOSED) {
        throw alreadyClosed();
      }
      block.next = first;
    } while (!BLOCKS.compareAndSet(this, first, block));
  }

  /** A session of this arena, with so many bytes reserved in it. */
  private SessionBatch batchFor(long nrBytes) {
    while (true) {
      SessionBatch batch = home;
      if (batch != null) {
        return nrBytes == 0 || open(batch).tryReserve(nrBytes) ? open(batch) : ownBatch();
      }
      batch = sessions.join(nrBytes);
      if (HOME.compareAndSet(this, null, batch)) {
        return batch;
      }
      batch.unreserve(nrBytes);
      batch.leave(null, null);
    }
  }

  private SessionBatch ownBatch() {
    SessionBatch alone = own;
    if (alone == null) {
      alone = sessions.alone();
      if (!OWN.compareAndSet(this, null, alone)) {
        alone.leave(null, null);
        alone = own;
      }
    }
    return open(alone);
  }

  private static SessionBatch open(@Nullable SessionBatch batch) {
    if (batch == null || batch == SessionBatch.GONE) {
      throw alreadyClosed();
    }
    return batch;
  }

  private void requireOpen() {
    if (blocks == ArenaBlock.CLOSED) {
      throw alreadyClosed();
    }
  }

  @Override
  public MemorySegment.Scope scope() {
    SessionBatch batch = home;
    return (batch != null ? batch : batchFor(0)).session().scope();
  }

  /** Racy while the arena is closed: between what it held and 0, or what waits beside it. */
  @Override
  public long heldBytes() {
    long sum = 0;
    for (ArenaBlock block = blocks; block != null; block = block.next) {
      sum += Kmalloc.roundUp(block.nrBytes);
    }
    return sum;
  }

  @Override
  public void close() {
    ArenaBlock first = (ArenaBlock) BLOCKS.getAndSet(this, ArenaBlock.CLOSED);
    if (first == ArenaBlock.CLOSED) {
      throw alreadyClosed();
    }
    SessionBatch shared = (SessionBatch) HOME.getAndSet(this, SessionBatch.GONE);
    SessionBatch alone = (SessionBatch) OWN.getAndSet(this, SessionBatch.GONE);
    current = null;
    leave(shared, first, alone);
  }

  /** Hands each session its blocks. */
  private static void leave(
      @Nullable SessionBatch shared, @Nullable ArenaBlock first, @Nullable SessionBatch alone) {
    ArenaBlock sharedFirst = null;
    ArenaBlock sharedLast = null;
    ArenaBlock aloneFirst = null;
    ArenaBlock aloneLast = null;
    for (ArenaBlock block = first; block != null; ) {
      ArenaBlock next = block.next;
      if (block.batch == alone) {
        block.next = aloneFirst;
        aloneFirst = block;
        aloneLast = aloneLast == null ? block : aloneLast;
      } else {
        block.next = sharedFirst;
        sharedFirst = block;
        sharedLast = sharedLast == null ? block : sharedLast;
      }
      block = next;
    }
    if (shared != null) {
      shared.leave(sharedFirst, sharedLast);
    }
    if (alone != null) {
      alone.leave(aloneFirst, aloneLast);
    }
  }
}
