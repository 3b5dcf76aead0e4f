package io.memcg4j.slab;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.ScopeFrame;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.LongAdder;

/** The sessions of an allocator's shared arenas, by the group that pays. */
final class ArenaSessions {
  /*
   * A shared session of the JDK ends by a handshake with every thread, which costs 18 to 320 us; so
   * many arenas share one, and the memory of those that were closed waits for its end.
   *
   * Invariant  memory that a segment can reach is freed after the session of the segment has ended:
   *            SessionBatch.retire is the only place that frees blocks that were handed out, and it
   *            ends the session first. Waiting memory is charged to its owner, as before.
   * Bounds     GroupSessions.reservedBytes per group; MAX_JOINED arenas per session; one second, for
   *            what no open arena keeps. By group, so that nobody's open arena keeps another tenant's
   *            memory. A block that another scope pays for waits with the group of the arena's first.
   * Who ends   the last member that goes, if the batch is sealed; whoever seals it, if all have gone:
   * a session  a batch that is full, a limit that is hit (a shrinker of the group), shrink and close
   *            of the allocator, the purge thread.
   * Locks      none while a session ends or memory is freed.
   * Origin     RefCountedSharedArena of Lucene groups files by index segment for the same reason.
   */
  private final Kmalloc kmalloc;
  private final ConcurrentHashMap<ObjCgroup, GroupSessions> groups = new ConcurrentHashMap<>();
  private final ConcurrentLinkedQueue<SessionBatch> held = new ConcurrentLinkedQueue<>();
  private final LongAdder nrEnded = new LongAdder();

  ArenaSessions(Kmalloc kmalloc) {
    this.kmalloc = kmalloc;
  }

  /** A session for an arena that needs its first block, for which there is room in it. */
  SessionBatch join(long nrBytes) {
    SlabAllocator allocator = kmalloc.allocator();
    allocator.checkOpen();
    ScopeFrame scope = allocator.registry().currentScope();
    ObjCgroup payer =
        scope == null || !allocator.isAccounted()
            ? allocator.registry().rootHandle()
            : scope.current();
    while (true) {
      GroupSessions group = groups.get(payer);
      if (group == null) {
        group = groups.computeIfAbsent(payer, handle -> new GroupSessions(this, handle));
      }
      SessionBatch batch = group.join(nrBytes);
      if (batch != null) {
        return batch;
      }
      groups.remove(payer, group);
    }
  }

  long rangeBytes() {
    return kmalloc.allocator().range().rangeBytes();
  }

  SessionBatch alone() {
    return SessionBatch.alone(this);
  }

  void free(long address) {
    try {
      kmalloc.free(address);
    } catch (IllegalArgumentException e) {
      actionFailed(e); // freed behind the arena's back: not the fault of whoever retires the batch
    }
  }

  void ended() {
    nrEnded.increment();
  }

  /** There will be something to retire. */
  void wake() {
    kmalloc.allocator().noteSomethingToPurge();
  }

  void heldByNativeCall(SessionBatch batch) {
    held.add(batch);
    wake();
  }

  void actionFailed(Throwable failure) {
    System.getLogger(ArenaSessions.class.getName())
        .log(System.Logger.Level.WARNING, "end of an arena failed", failure);
  }

  // ---- giving back

  /** Ends all sessions whose arenas are all closed. Returns bytes freed. */
  long retireAll() {
    long nrFreed = retireHeld();
    for (GroupSessions group : groups.values()) {
      nrFreed += group.retireCurrent();
    }
    return nrFreed;
  }

  private long retireHeld() {
    long nrFreed = 0;
    for (int i = held.size(); i > 0; i--) {
      SessionBatch batch = held.poll();
      nrFreed += batch == null ? 0 : batch.retire();
    }
    return nrFreed;
  }

  /** Ends sessions that are older than a time, and forgets groups that have none. */
  void purge(long untilNanos) {
    retireHeld();
    for (GroupSessions group : groups.values()) {
      if (group.purge(untilNanos)) {
        groups.remove(group.payer(), group);
      }
    }
  }

  boolean hasSomethingToRetire() {
    for (GroupSessions group : groups.values()) {
      if (group.hasSomethingToRetire()) {
        return true;
      }
    }
    return !held.isEmpty();
  }

  ArenaInfo info() {
    long waitingBytes = 0;
    long reservedBytes = 0;
    for (GroupSessions group : groups.values()) {
      waitingBytes += group.waitingBytes();
      reservedBytes += group.reservedBytes();
    }
    return new ArenaInfo(waitingBytes, reservedBytes, nrEnded.sum(), held.size());
  }

  long waitingBytes(MemCgroup payer) {
    long sum = 0;
    for (GroupSessions group : groups.values()) {
      sum += group.payer().group() == payer ? group.waitingBytes() : 0;
    }
    return sum;
  }
}
