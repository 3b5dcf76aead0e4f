package io.memcg4j.slab;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Locale;

/**
 * An {@link Arena} whose memory a group pays for.
 *
 * <p>Small segments are cut from blocks of 512 to 8192 bytes, larger ones are objects of their own;
 * all of it comes from a {@link Kmalloc}, zeroed and aligned as asked for. A block is charged to
 * the group of the scope that is open, on the thread that happens to need it, when it is taken; the
 * segments cut from it cost nothing more. So an arena that is used in several scopes may be paid
 * for by several groups, each block by one. Outside any scope nothing is charged.
 *
 * <p>Closing gives every block back to whoever paid, in a time that grows with the number of
 * blocks, not of segments. A request that a limit refuses throws {@link
 * io.memcg4j.memcg.MemoryLimitException}, and the arena is as before.
 *
 * <table>
 * <caption>When a segment of a closed arena stops working</caption>
 * <tr><th>made by</th><th>who may use it</th><th>an access after close throws</th></tr>
 * <tr><td>{@link #ofConfined}</td><td>the thread that made it</td><td>always</td></tr>
 * <tr><td>{@link #ofShared}</td><td>any thread</td><td>when the batch of the arena is retired, at
 * the latest; until then it reaches the memory that was the arena's, which nobody else has</td></tr>
 * </table>
 *
 * <p>Ending the access of other threads costs a shared arena of the JDK a handshake with every
 * thread at each close. Shared arenas that are used in one group share that: their segments belong
 * to one JDK session, and the memory of those that were closed waits, still charged, until the
 * session is ended for all of them at once. That is when 1024 arenas, or an eighth of the bound
 * below, are in it and all of them are closed; when its group or one above it meets a limit; in
 * {@link Kmalloc#shrink} and {@link Kmalloc#close}; after about a second. Only then is the memory
 * free for others. An arena that stays open keeps at most the others of its own session waiting.
 * What sessions with more than one arena hold, open or waiting, is at most 1/32 of the lowest
 * {@code max} of the group and those above it, 1/32 of the allocator's range, and at most {@link
 * #MAX_WAITING_BYTES}, per group; what exceeds it gets a session for itself, which ends at close
 * and costs the handshake. {@link ArenaInfo} tells what waits.
 *
 * <p>A shared arena differs from the JDK's in this: {@link #scope} is dead after close, but the
 * scope of a segment lives until its session ends; two arenas may have equal scopes; segments
 * beyond the bound above have a scope of their own; actions that were attached to the scope (by
 * {@code reinterpret} or by mapping a file) run when the session ends, on whichever thread ends it;
 * and closing while a native call holds a segment does not throw: the memory waits for the call.
 */
public abstract sealed class AccountedArena implements Arena permits ConfinedArena, SharedArena {
  /** The most that shared arenas of one group hold in sessions that they share: bytes. */
  public static final long MAX_WAITING_BYTES = 16L << 20;

  static final int MIN_BLOCK_SIZE = 512;
  static final int MAX_BLOCK_SIZE = Kmalloc.MAX_CACHE_SIZE;

  /** Segments above it are objects of their own. */
  static final int MAX_CUT_SIZE = MAX_BLOCK_SIZE / 2;

  final Kmalloc kmalloc;

  AccountedArena(Kmalloc kmalloc) {
    this.kmalloc = kmalloc;
  }

  /**
   * An arena for the calling thread alone.
   *
   * @param kmalloc where its memory comes from
   * @return a new arena, to be closed by the same thread
   */
  public static AccountedArena ofConfined(Kmalloc kmalloc) {
    return new ConfinedArena(kmalloc);
  }

  /**
   * An arena that any thread may use and close.
   *
   * @param kmalloc where its memory comes from
   * @return a new arena
   */
  public static AccountedArena ofShared(Kmalloc kmalloc) {
    return new SharedArena(kmalloc);
  }

  /**
   * Allocates a zeroed segment that lives until the arena is closed.
   *
   * @param byteSize 0 or more
   * @param byteAlignment power of two
   * @return the segment
   * @throws io.memcg4j.memcg.MemoryLimitException if a limit, or the OS, refuses
   * @throws IllegalArgumentException if the size or the alignment is out of range
   * @throws IllegalStateException if the arena is closed
   * @throws WrongThreadException if it is another thread's confined arena
   */
  @Override
  public abstract MemorySegment allocate(long byteSize, long byteAlignment);

  /**
   * Memory that the arena holds: its blocks, used or not.
   *
   * @return bytes of size classes and pages; 0 when closed
   * @throws WrongThreadException if it is another thread's confined arena
   */
  public abstract long heldBytes();

  /**
   * Ends the life of all segments and gives the memory back; see above for when.
   *
   * @throws IllegalStateException if the arena is closed already; if it is confined and a native
   *     call holds a segment, in which case it stays open
   * @throws WrongThreadException if it is another thread's confined arena
   */
  @Override
  public abstract void close();

  static void checkRequest(long byteSize, long byteAlignment) {
    if (byteSize < 0) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT, "size out of range: byteSize=%d legal=0..%d", byteSize, Long.MAX_VALUE));
    }
    if (byteAlignment <= 0 || (byteAlignment & (byteAlignment - 1)) != 0) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "alignment out of range: byteAlignment=%d legal=power of two",
              byteAlignment));
    }
  }

  /** Whether a segment is cut from a block; else it is an object of its own. */
  static boolean isCut(long byteSize, long byteAlignment) {
    return byteSize <= MAX_CUT_SIZE && byteAlignment <= MAX_CUT_SIZE;
  }

  /**
   * The size of the next block: twice the last one, and enough for what is asked for. Powers of
   * two, so that a block is aligned to its size.
   *
   * @param lastSize 0 for the first block
   */
  static long blockSize(long lastSize, long byteSize, long byteAlignment) {
    long wanted = Math.max(byteSize, byteAlignment);
    long size = lastSize == 0 ? MIN_BLOCK_SIZE : Math.min(2 * lastSize, MAX_BLOCK_SIZE);
    while (size < wanted) {
      size *= 2;
    }
    return size;
  }

  /** A zeroed block to cut from. */
  final long allocateBlock(long nrBytes) {
    long address = kmalloc.allocate(nrBytes);
    SlabAllocator.zero(address, nrBytes);
    return address;
  }

  /** A zeroed object for one segment. */
  final long allocateObject(long byteSize, long byteAlignment) {
    if (byteSize > Kmalloc.MAX_CACHE_SIZE && byteAlignment <= SlabGeometry.CHUNK_SIZE) {
      return kmalloc.allocateZeroed(byteSize); // fresh pages are zero already
    }
    long address = kmalloc.allocateAligned(byteSize, byteAlignment);
    SlabAllocator.zero(address, byteSize);
    return address;
  }

  static IllegalStateException alreadyClosed() {
    return new IllegalStateException("arena is closed already");
  }
}
