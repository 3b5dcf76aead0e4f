package io.memcg4j.memcg;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** What is done when reclaim freed nothing: ask the policy, ask its victim to close, wait. */
final class OutOfMemory {
  /*
   * Locks      GroupTree.oomLock, one per tree, while a victim is chosen and marked: a group is not
   *            killed twice for one shortage. The victim's callback runs on a thread of its own.
   * Not        that the victim closes: it is given its deadline, then others may be asked.
   * guaranteed
   * Origin     mem_cgroup_out_of_memory and mem_cgroup_get_oom_group of Linux mm/memcontrol.c.
   */
  private static final long LOOK_NANOS = 1_000_000L;

  private OutOfMemory() {}

  /**
   * Makes room below a limit by way of the policy.
   *
   * @return whether the request should be tried again
   */
  static boolean makeRoom(MemCgroup refusing, long nrBytes) {
    OomHandler handler = handlerOf(refusing);
    EventCounts.count(refusing, EventCounts.Event.OOM);
    if (handler == OomHandler.FAIL_REQUEST) {
      return false;
    }
    MemcgEvents.OutOfMemory event = MemcgEvents.beginOutOfMemory();
    List<MemCgroup> closing = new ArrayList<>();
    boolean again = ask(handler, refusing, nrBytes, closing);
    MemcgEvents.end(event, refusing, nrBytes, closing, again);
    return again;
  }

  private static boolean ask(
      OomHandler handler, MemCgroup refusing, long nrBytes, List<MemCgroup> closing) {
    var lock = refusing.tree().oomLock();
    lock.lock();
    try {
      if (hasRoom(refusing, nrBytes)) {
        return true; // somebody else made it while this thread waited for the lock
      }
      List<MemCgroup> killable = new ArrayList<>();
      collect(refusing, killable, closing);
      if (closing.isEmpty()) {
        MemCgroup victim = choose(handler, refusing, nrBytes, killable);
        if (victim == null) {
          return false;
        }
        kill(refusing, victim, closing);
      }
    } finally {
      lock.unlock();
    }
    return awaitRelease(refusing, nrBytes, closing);
  }

  static OomHandler handlerOf(MemCgroup refusing) {
    for (MemCgroup group = refusing; group != null; group = group.parent()) {
      GroupControls controls = group.controlsOrNull();
      OomHandler handler = controls == null ? null : controls.oomHandler;
      if (handler != null) {
        return handler;
      }
    }
    return OomHandler.FAIL_REQUEST;
  }

  private static @Nullable OomVictim victimOf(MemCgroup group) {
    GroupControls controls = group.controlsOrNull();
    return controls == null ? null : controls.victim;
  }

  private static void collect(MemCgroup group, List<MemCgroup> killable, List<MemCgroup> closing) {
    OomVictim victim = victimOf(group);
    if (victim != null && group.isOnline()) {
      OomVictim.State state = victim.state(group.usage());
      if (state == OomVictim.State.RELEASING) {
        closing.add(group);
      } else if (state == OomVictim.State.ALIVE
          && victim.scoreAdjust > OomHandler.NEVER
          && group.usage() > 0) {
        killable.add(group);
      }
    }
    for (MemCgroup child : group.children()) {
      collect(child, killable, closing);
    }
  }

  private static @Nullable MemCgroup choose(
      OomHandler handler, MemCgroup refusing, long nrBytes, List<MemCgroup> killable) {
    List<OomHandler.Candidate> candidates = new ArrayList<>();
    for (MemCgroup group : killable) {
      OomVictim victim = victimOf(group);
      candidates.add(
          new OomHandler.Candidate(
              group.path(),
              group.usage(),
              Math.max(group.min(), group.low()),
              victim == null ? 0 : victim.scoreAdjust));
    }
    OomHandler.Candidate chosen;
    try {
      chosen =
          handler.choose(
              new OomHandler.Snapshot(
                  refusing.path(), refusing.max(), nrBytes, List.copyOf(candidates)));
    } catch (RuntimeException e) {
      log("out-of-memory policy failed: group=" + refusing.path(), e);
      return null;
    }
    int index = chosen == null ? -1 : candidates.indexOf(chosen);
    return index < 0 ? null : killable.get(index);
  }

  /** The victim, or the highest group up to the refusing one that dies as a whole. */
  private static void kill(MemCgroup refusing, MemCgroup victim, List<MemCgroup> closing) {
    MemCgroup whole = null;
    for (MemCgroup group = victim; group != null; group = group.parent()) {
      whole = group.isOomGroup() ? group : whole;
      if (group == refusing) {
        break;
      }
    }
    if (whole == null) {
      killOne(victim, closing);
      return;
    }
    List<MemCgroup> members = new ArrayList<>();
    collect(whole, members, closing);
    members.forEach(member -> killOne(member, closing));
    EventCounts.count(whole, EventCounts.Event.OOM_GROUP_KILL);
  }

  private static void killOne(MemCgroup group, List<MemCgroup> closing) {
    OomVictim victim = victimOf(group);
    if (victim == null) {
      return;
    }
    victim.markKilled(group.usage());
    closing.add(group);
    EventCounts.count(group, EventCounts.Event.OOM_KILL);
    MemcgEvents.oomKill(group);
    Thread.ofVirtual()
        .name("memcg4j-oom")
        .start(() -> {
          try {
            victim.kill.run();
          } catch (Throwable e) { // the application's code: it must harm nobody else
            log("victim's callback failed: group=" + group.path(), e);
          }
          group.drain();
          victim.state(group.usage()); // it may fill up again before the next one looks
        });
  }

  /** Until there is room, or no victim is still releasing. */
  private static boolean awaitRelease(MemCgroup refusing, long nrBytes, List<MemCgroup> closing) {
    MemStall.enter(refusing);
    try {
      while (refusing.isOnline() && !Thread.currentThread().isInterrupted()) {
        refusing.drain();
        // All are looked at: one that is done may fill up again before the next look.
        long nrReleasing = closing.stream().filter(OutOfMemory::isReleasing).count();
        if (hasRoom(refusing, nrBytes)) {
          return true;
        }
        if (nrReleasing == 0) {
          return true; // tried again: either what they gave back is enough, or the next one goes
        }
        refusing.waiters().awaitChange(LOOK_NANOS);
      }
      return false;
    } finally {
      MemStall.leave(refusing);
    }
  }

  private static boolean isReleasing(MemCgroup group) {
    OomVictim victim = victimOf(group);
    return victim != null
        && group.isOnline()
        && victim.state(group.usage()) == OomVictim.State.RELEASING;
  }

  private static boolean hasRoom(MemCgroup refusing, long nrBytes) {
    return refusing.max() - refusing.usage() >= nrBytes;
  }

  private static void log(String text, Throwable cause) {
    System.getLogger(OutOfMemory.class.getName()).log(System.Logger.Level.WARNING, text, cause);
  }
}
