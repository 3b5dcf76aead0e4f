package io.memcg4j.memcg;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

/** The out-of-memory policy: test_memcg_oom_events and test_memcg_oom_group_* of the kernel. */
final class OomTest {
  private static final long MIB = 1L << 20;
  private static final Duration DEADLINE = Duration.ofSeconds(20);

  private final MemCgroup root = MemCgroup.root();
  private final Set<String> killed = Collections.synchronizedSet(new java.util.TreeSet<>());

  /** A group that uses memory until it is asked to close. */
  private MemCgroup session(MemCgroup parent, String name, long nrBytes, int scoreAdjust) {
    MemCgroup group = parent.create(name);
    Charge charge = group.charge(name, MemoryClass.HEAP);
    charge.set(nrBytes);
    group.setOomKill(
        () -> {
          killed.add(name);
          charge.close();
        },
        DEADLINE,
        scoreAdjust);
    return group;
  }

  @Test
  void failRequest_default_killsNobody() {
    MemCgroup a = root.create("a");
    session(a, "s", 9 * MIB, 0);
    a.setMax(10 * MIB);
    assertThrows(MemoryLimitException.class, () -> a.charge("x", MemoryClass.HEAP).set(5 * MIB));
    assertTrue(killed.isEmpty());
    assertEquals(1, a.events().oom());
    assertEquals(0, a.events().oomKill());
  }

  @Test
  void killLargest_victimGivesWayAndRequestIsGranted() {
    MemCgroup a = root.create("a");
    session(a, "small", 2 * MIB, 0);
    MemCgroup large = session(a, "large", 6 * MIB, 0);
    a.setOomHandler(OomHandler.KILL_LARGEST);
    a.setMax(10 * MIB);
    a.charge("x", MemoryClass.HEAP).set(5 * MIB);
    assertEquals(Set.of("large"), killed);
    assertEquals(1, a.eventsLocal().oom(), "at the group whose limit it was");
    assertEquals(0, a.eventsLocal().oomKill());
    assertEquals(1, large.eventsLocal().oomKill(), "at the victim");
    assertEquals(1, a.events().oomKill());
    assertEquals(0, large.events().oom());
  }

  /** It releases its memory, lives on and fills up again: as killable as it was. */
  @Test
  void killLargest_victimThatLivesOn_isAskedAgain() {
    MemCgroup a = root.create("a");
    MemCgroup large = a.create("large");
    Charge refilled = large.charge("cache", MemoryClass.HEAP);
    AtomicInteger nrAsked = new AtomicInteger();
    large.setOomKill(
        () -> {
          nrAsked.getAndIncrement();
          refilled.set(0);
        },
        DEADLINE,
        0);
    a.setOomHandler(OomHandler.KILL_LARGEST);
    a.setMax(10 * MIB);
    Charge request = a.charge("x", MemoryClass.HEAP);
    for (int round = 1; round <= 3; round++) {
      request.set(0);
      refilled.set(8 * MIB);
      request.set(5 * MIB);
      assertEquals(round, nrAsked.get());
    }
  }

  @Test
  void score_protectionAndAdjustment() {
    OomHandler.Candidate plain = new OomHandler.Candidate("/a", 50 * MIB, 0, 0);
    OomHandler.Candidate guarded = new OomHandler.Candidate("/b", 90 * MIB, 80 * MIB, 0);
    OomHandler.Candidate disliked = new OomHandler.Candidate("/c", 10 * MIB, 0, 500);
    OomHandler.Snapshot snapshot =
        new OomHandler.Snapshot("/", 100 * MIB, MIB, List.of(plain, guarded, disliked));
    assertEquals(50 * MIB, snapshot.score(plain));
    assertEquals(10 * MIB, snapshot.score(guarded));
    assertEquals(10 * MIB + 100 * MIB / 1000 * 500, snapshot.score(disliked));
    assertEquals(disliked, OomHandler.KILL_LARGEST.choose(snapshot));
    OomHandler.Candidate spared = new OomHandler.Candidate("/d", 10 * MIB, 0, -900);
    assertNull(
        OomHandler.KILL_LARGEST.choose(
            new OomHandler.Snapshot("/", 100 * MIB, MIB, List.of(spared))));
  }

  @Test
  void oomGroup_highestUpToTheLimitClosesAsAWhole_butThoseThatNever() throws Exception {
    MemCgroup outside = root.create("outside");
    session(outside, "bystander", 60 * MIB, 0);
    MemCgroup a = root.create("a");
    a.setOomHandler(OomHandler.KILL_LARGEST);
    MemCgroup b = a.create("b");
    b.setOomGroup(true);
    session(b, "one", MIB, 0);
    session(b, "two", 30 * MIB, 0);
    session(b, "never", MIB, OomHandler.NEVER);
    session(a, "neighbour", 5 * MIB, 0);
    a.setMax(40 * MIB);
    a.charge("x", MemoryClass.HEAP).set(20 * MIB);
    while (killed.size() < 2) {
      Thread.sleep(1); // each is asked on a thread of its own
    }
    assertEquals(Set.of("one", "two"), killed);
    assertEquals(1, b.eventsLocal().oomGroupKill());
    assertEquals(2, a.events().oomKill());
    assertEquals(1, a.events().oomGroupKill());
    assertEquals(0, a.eventsLocal().oomGroupKill());
  }

  @Test
  void kill_whileVictimIsReleasing_nobodyElse() throws Exception {
    MemCgroup a = root.create("a");
    a.setOomHandler(OomHandler.KILL_LARGEST);
    session(a, "other", 3 * MIB, 0);
    MemCgroup slow = a.create("slow");
    Charge held = slow.charge("held", MemoryClass.HEAP);
    held.set(6 * MIB);
    AtomicInteger nrKills = new AtomicInteger();
    slow.setOomKill(nrKills::incrementAndGet, DEADLINE, 0);
    a.setMax(10 * MIB);
    List<Thread> threads = new ArrayList<>();
    Set<Boolean> granted = ConcurrentHashMap.newKeySet();
    for (int i = 0; i < 3; i++) {
      threads.add(
          Thread.ofVirtual()
              .start(() ->
                  granted.add(
                      a.charge("x", MemoryClass.HEAP).set(2 * MIB, ChargeMode.NORMAL) == null)));
    }
    while (nrKills.get() == 0) {
      Thread.sleep(1);
    }
    Thread.sleep(30); // long enough for the others to come by; nothing depends on it
    held.close();
    for (Thread thread : threads) {
      thread.join();
    }
    assertEquals(1, nrKills.get());
    assertTrue(killed.isEmpty(), () -> "killed=" + killed);
    assertEquals(Set.of(true), granted);
  }

  @Test
  void kill_victimDoesNotClose_afterItsDeadlineTheNextOneGoes() {
    MemCgroup a = root.create("a");
    a.setOomHandler(OomHandler.KILL_LARGEST);
    session(a, "next", 3 * MIB, 0);
    MemCgroup stuck = a.create("stuck");
    stuck.charge("held", MemoryClass.HEAP).set(6 * MIB);
    stuck.setOomKill(
        () -> {
          throw new IllegalStateException("broken on purpose");
        },
        Duration.ofMillis(20),
        0);
    a.setMax(10 * MIB);
    a.charge("x", MemoryClass.HEAP).set(3 * MIB);
    assertEquals(Set.of("next"), killed);
    assertFalse(a.charge("y", MemoryClass.HEAP).trySet(3 * MIB), "nobody is left who would close");
  }

  @Test
  void choose_throws_requestIsRefused() {
    MemCgroup a = root.create("a");
    session(a, "s", 5 * MIB, 0);
    a.setOomHandler(snapshot -> {
      throw new IllegalStateException("broken on purpose");
    });
    a.setMax(5 * MIB);
    assertFalse(a.charge("x", MemoryClass.HEAP).trySet(MIB));
    assertTrue(killed.isEmpty());
  }

  @Test
  void setMax_belowUsage_killsUntilItFits() {
    MemCgroup a = root.create("a");
    a.setOomHandler(OomHandler.KILL_LARGEST);
    session(a, "one", 5 * MIB, 0);
    session(a, "two", 4 * MIB, 0);
    session(a, "three", 3 * MIB, 0);
    a.setMax(4 * MIB);
    assertEquals(Set.of("one", "two"), killed);
    assertEquals(3 * MIB, a.usage());
  }
}
