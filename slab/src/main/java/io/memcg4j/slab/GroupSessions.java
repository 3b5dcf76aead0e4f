package io.memcg4j.slab;

import static java.lang.invoke.ConstantBootstraps.fieldVarHandle;
import static java.lang.invoke.MethodHandles.lookup;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.Shrinker;
import io.memcg4j.memcg.ShrinkerRegistration;
import io.memcg4j.objcg.ObjCgroup;
import java.lang.invoke.VarHandle;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/**
 * The sessions that the shared arenas of one group share. A shrinker of the group: what waits is
 * given back before a limit refuses.
 */
final class GroupSessions implements Shrinker {
  /*
   * Invariant  reservedBytes = bytes of blocks in sessions of more than one arena, open or waiting;
   *            at most the bound when it grows. DEAD for ever once it was 0 and nobody came.
   * Ordering   close: reservedBytes DEAD, then look for a batch. A batch is put in place, then
   *            reservedBytes is read. Both volatile: a batch that nobody would find is sealed by one.
   * Locks      none.
   * Not        that all of what waits can be given back: an open arena keeps the others of its
   * guaranteed session, at most MAX_JOINED, at most a batch's capacity.
   */
  private static final VarHandle RESERVED =
      fieldVarHandle(lookup(), "reservedBytes", VarHandle.class, GroupSessions.class, long.class);
  private static final VarHandle CURRENT =
      fieldVarHandle(lookup(), "current", VarHandle.class, GroupSessions.class, SessionBatch.class);

  private static final long DEAD = Long.MIN_VALUE;

  /** What slots may hold in advance for a group is bounded by the same share of its limit. */
  private static final int SHARE_OF_MAX = 32;

  /** Batches to a bound: they are sealed half full, so an eighth of it is retired at a time. */
  private static final int NR_BATCHES = 4;

  private final ArenaSessions sessions;
  private final ObjCgroup payer;
  private final @Nullable ShrinkerRegistration registration;
  private final AtomicLong waitingBytes = new AtomicLong();
  private volatile long boundBytes; // of the time when the last batch was made
  private volatile long reservedBytes;
  private volatile @Nullable SessionBatch current;

  GroupSessions(ArenaSessions sessions, ObjCgroup payer) {
    this.sessions = sessions;
    this.payer = payer;
    this.boundBytes = bound(payer.group());
    this.registration = payer.id() == ObjCgroup.ROOT_ID ? null : payer.group().addShrinker(this);
  }

  /**
   * Makes an arena a member of the current batch, with its first block reserved.
   *
   * @return a session of its own if there is no room; null if this is dead
   */
  @Nullable SessionBatch join(long nrBytes) {
    while (2 * nrBytes <= capacityBytes()) {
      SessionBatch batch = current;
      if (batch == null || !batch.tryJoin()) {
        if (reservedBytes == DEAD) {
          return null;
        }
        renew(batch);
        continue;
      }
      if (nrBytes == 0 || batch.tryReserve(nrBytes)) {
        return batch;
      }
      boolean full = !batch.hasRoom(nrBytes);
      batch.leave(null, null);
      // Full: the next batch has room. Else the group has none, unless something is given back.
      if (batch.sealAndRetire() == 0 && !full) {
        break;
      }
    }
    return sessions.alone();
  }

  private long capacityBytes() {
    return boundBytes / NR_BATCHES;
  }

  private void renew(@Nullable SessionBatch old) {
    boundBytes = bound(payer.group());
    SessionBatch batch = SessionBatch.of(sessions, this, capacityBytes());
    if (CURRENT.compareAndSet(this, old, batch)) {
      if (reservedBytes == DEAD) {
        batch.sealAndRetire();
      } else {
        sessions.wake();
      }
    }
  }

  private long bound(MemCgroup lowest) {
    long bound = Math.min(AccountedArena.MAX_WAITING_BYTES, sessions.rangeBytes() / SHARE_OF_MAX);
    for (MemCgroup group = lowest; group != null; group = group.parent()) {
      bound = Math.min(bound, group.max() / SHARE_OF_MAX);
    }
    return bound;
  }

  boolean tryReserve(long nrBytes) {
    while (true) {
      long before = reservedBytes;
      if (before == DEAD || before + nrBytes > boundBytes) {
        return false;
      }
      if (RESERVED.compareAndSet(this, before, before + nrBytes)) {
        return true;
      }
    }
  }

  void unreserve(long nrBytes) {
    RESERVED.getAndAdd(this, -nrBytes);
  }

  void waits(long nrBytes) {
    if (nrBytes != 0) {
      waitingBytes.addAndGet(nrBytes);
    }
  }

  long waitingBytes() {
    return waitingBytes.get();
  }

  long reservedBytes() {
    return Math.max(0, reservedBytes);
  }

  ObjCgroup payer() {
    return payer;
  }

  // ---- giving back

  /** Ends the current session if all its arenas are closed; else as soon as they are. */
  long retireCurrent() {
    SessionBatch batch = current;
    if (batch == null) {
      return 0;
    }
    long nrFreed = batch.sealAndRetire();
    CURRENT.compareAndSet(this, batch, null);
    return nrFreed;
  }

  /** As {@link #retireCurrent} for a batch that is older; and says so when nothing is left. */
  boolean purge(long untilNanos) {
    SessionBatch batch = current;
    if (batch != null && batch.isOlderThan(untilNanos)) {
      retireCurrent();
    }
    return current == null && tryDie();
  }

  private boolean tryDie() {
    if (!RESERVED.compareAndSet(this, 0L, DEAD)) {
      return reservedBytes == DEAD;
    }
    retireCurrent(); // of somebody who came at that moment
    if (registration != null) {
      registration.close();
    }
    return true;
  }

  boolean hasSomethingToRetire() {
    return current != null || reservedBytes == 0;
  }

  /**
   * What can be given back at once. Where an arena is still open, nobody joins it any more, so that
   * the rest goes when it is closed.
   */
  @Override
  public long count() {
    SessionBatch batch = current;
    if (batch == null || !batch.hasWaiting()) {
      return 0;
    }
    if (batch.isIdle()) {
      return batch.reservedBytes();
    }
    batch.sealAndRetire();
    return 0;
  }

  @Override
  public long scan(long nrBytes) {
    return retireCurrent();
  }

  @Override
  public String name() {
    return "arenas";
  }
}
