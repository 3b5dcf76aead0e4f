package io.memcg4j.slab;

import static java.lang.invoke.ConstantBootstraps.fieldVarHandle;
import static java.lang.invoke.MethodHandles.lookup;

import java.lang.foreign.Arena;
import java.lang.invoke.VarHandle;
import org.jspecify.annotations.Nullable;

/** One shared session of the JDK, with the shared arenas whose segments belong to it. */
final class SessionBatch extends SessionMembers {
  /** In place of the session of a closed arena: one that has ended. */
  static final SessionBatch GONE = new SessionBatch();

  private static final VarHandle RESERVED =
      fieldVarHandle(lookup(), "reservedBytes", VarHandle.class, SessionBatch.class, long.class);

  private final Arena session = Arena.ofShared();
  private final long startNanos = System.nanoTime();
  private final @Nullable ArenaSessions sessions;

  /** Whose bound it counts against; null for one with a single arena. */
  private final @Nullable GroupSessions group;

  private final long capacityBytes;
  private volatile long reservedBytes;

  private SessionBatch() {
    this.sessions = null;
    this.group = null;
    this.capacityBytes = 0;
    session.close();
  }

  private SessionBatch(ArenaSessions sessions, @Nullable GroupSessions group, long capacityBytes) {
    this.sessions = sessions;
    this.group = group;
    this.capacityBytes = capacityBytes;
  }

  static SessionBatch of(ArenaSessions sessions, GroupSessions group, long capacityBytes) {
    return new SessionBatch(sessions, group, capacityBytes);
  }

  /** For a single arena, which is in it already. */
  static SessionBatch alone(ArenaSessions sessions) {
    SessionBatch batch = new SessionBatch(sessions, null, Long.MAX_VALUE);
    batch.tryJoin();
    batch.seal();
    return batch;
  }

  Arena session() {
    return session;
  }

  long reservedBytes() {
    return reservedBytes;
  }

  boolean isOlderThan(long nanos) {
    return startNanos - nanos <= 0;
  }

  /** Whether so many bytes can still be reserved here. Racy. */
  boolean hasRoom(long nrBytes) {
    return reservedBytes + nrBytes <= capacityBytes;
  }

  /**
   * Makes room for a block, within what the batch and its group may hold. Half full it is sealed,
   * which leaves room for its members to grow.
   */
  boolean tryReserve(long nrBytes) {
    if (group == null) {
      return true;
    }
    if (!group.tryReserve(nrBytes)) {
      return false;
    }
    long after = (long) RESERVED.getAndAdd(this, nrBytes) + nrBytes;
    if (after > capacityBytes) {
      unreserve(nrBytes);
      return false;
    }
    if (2 * after > capacityBytes && !isSealed()) {
      sealAndRetire();
    }
    return true;
  }

  void unreserve(long nrBytes) {
    if (group != null && nrBytes != 0) {
      RESERVED.getAndAdd(this, -nrBytes);
      group.unreserve(nrBytes);
    }
  }

  /** A member goes, and its blocks wait. */
  void leave(@Nullable ArenaBlock first, @Nullable ArenaBlock last) {
    if (group != null) {
      long sum = 0;
      for (ArenaBlock block = first; block != null; block = block.next) {
        sum += Kmalloc.roundUp(block.nrBytes);
      }
      group.waits(sum);
    }
    if (goes(first, last)) {
      retire();
    }
  }

  /** Lets nobody join any more. Returns bytes that were freed, if all members had gone. */
  long sealAndRetire() {
    return seal() ? retire() : 0;
  }

  /**
   * Ends the session and only then frees what waits for it. By whoever was told that it is over.
   *
   * @return bytes freed; 0 if a native call holds a segment, in which case it is tried again
   */
  long retire() {
    if (sessions == null || !endSession(sessions)) {
      return 0;
    }
    long sum = 0;
    for (ArenaBlock block = takeWaiting(); block != null; ) {
      ArenaBlock next = block.next;
      long nrBytes = Kmalloc.roundUp(block.nrBytes);
      sessions.free(block.address);
      unreserve(nrBytes);
      sum += nrBytes;
      block = next;
    }
    if (group != null) {
      group.waits(-sum);
    }
    return sum;
  }

  private boolean endSession(ArenaSessions of) {
    try {
      session.close();
    } catch (RuntimeException | Error e) {
      if (session.scope().isAlive()) {
        of.heldByNativeCall(this);
        return false;
      }
      of.actionFailed(e);
    }
    of.ended();
    return true;
  }
}
