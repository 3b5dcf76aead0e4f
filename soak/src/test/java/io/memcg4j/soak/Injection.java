package io.memcg4j.soak;

import io.memcg4j.slab.FaultKind;

/** What is done to the system, and what has to come of it. */
enum Injection {
  GROUP_REMOVED("a group is removed, empty", "gone"),
  GROUP_REMOVED_HOLDING("a group is removed while it holds memory", "its parent holds it"),
  GROUP_REMOVED_DECLARED("a group is removed with an open charge", "dying until it is closed"),
  LIMIT_CHANGED("max, high or low is set", "held"),
  LIMIT_BELOW_USAGE("max is set below what is used", "held, once enough is freed"),
  DECLARED("memory that the application declares", "declared, or refused"),
  VICTIM_FREES("a victim frees when it is asked to", "freed"),
  VICTIM_SLOW("a victim takes its time", "freed, late"),
  VICTIM_THROWS("a victim's callback throws", "another one is asked"),
  SHRINKER_THROWS("a shrinker throws", "left alone for a while"),
  SHRINKER_LIES("a shrinker says it freed and did not", "refused in the end"),
  SHRINKER_SLEEPS("a shrinker takes 120 ms", "left alone for a while"),
  LISTENER_THROWS("a listener of events throws", "called again"),
  LISTENER_BLOCKS("a listener of events takes 50 ms", "called again"),
  TRIGGER_THROWS("a callback of pressure throws", "called again"),
  FAULT_SLAB("objects fail", "NULL"),
  FAULT_CHARGE("charges fail", "NULL"),
  FAULT_PAGES("the OS gives no memory", "NULL, or another way"),
  FAULT_VMALLOC("areas fail", "NULL"),
  FAULT_PERCPU("per-CPU memory fails", "NULL"),
  FOREIGN_UNMAPPED("memory is unmapped while a scanner reads it", "skipped"),
  LEAK_PLANTED("a block that nobody points to", "reported"),
  WAIT("a request that waits for room", "granted"),
  WAIT_TIMED_OUT("a request whose time is over", "NULL"),
  WAIT_INTERRUPTED("a thread that waits is interrupted", "InterruptedException"),
  WAIT_CANCELLED("a request is cancelled", "nothing is held"),
  THREAD_DIES("a platform thread dies in a scope", "its slot is taken over"),
  VIRTUAL_THREAD_DIES("a virtual thread dies in a scope", "its slot is taken over"),
  SCOPE_PARKED("a thread sleeps in a scope", "its slot is its own"),
  TASK_THROWS("a task of a pool throws in the groups that it follows", "no scope is left"),
  TASK_FOLLOWS("a task of a pool follows its groups", "paid by them"),
  CLASS_LOADER("a class loader that used everything is dropped", "unloaded");

  final String what;
  final String expected;

  Injection(String what, String expected) {
    this.what = what;
    this.expected = expected;
  }

  static Injection of(FaultKind kind) {
    return valueOf("FAULT_" + kind.name());
  }
}
