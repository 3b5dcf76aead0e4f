package io.memcg4j.benchmarks;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.slab.AccountedArena;
import io.memcg4j.slab.Kmalloc;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** One measurement of {@code bench arena}; runs in a process of its own. */
final class ArenaFork {
  static final String NANOS = "time";

  private static final int SEGMENT_BYTES = 64;

  /** Many times as many arenas as share a session, so that a round has its part of every cost. */
  private static final int NR_TIMES = 8192;

  /** The JDK's shared arenas are slower by two orders of magnitude. */
  private static final int NR_TIMES_SLOW = 256;

  private ArenaFork() {}

  private interface Opening {
    Arena open();
  }

  /** Arguments: name, case, subject, rounds. */
  static Map<String, Double> measure(String[] args) throws InterruptedException {
    ArenaCase arenas = ArenaCase.parse(args[1]);
    int nrRounds = Integer.parseInt(args[3]);
    boolean slow = arenas.shared() && args[2].equals(ArenaBench.JDK);
    MemCgroup root = MemCgroup.root();
    try (Kmalloc kmalloc = Kmalloc.create(root)) {
      Opening opening = opening(arenas, args[2], kmalloc);
      ObjCgroup tenant = ObjCgroup.of(KmallocCase.userGroup(root, "tenant"));
      List<TenantsFork.Work> works = new ArrayList<>();
      for (int i = 0; i < arenas.nrThreads(); i++) {
        works.add(nrTimes -> run(opening, tenant, arenas.nrSegments(), nrTimes));
      }
      return Map.of(NANOS, TenantsFork.best(works, nrRounds, slow ? NR_TIMES_SLOW : NR_TIMES));
    }
  }

  private static Opening opening(ArenaCase arenas, String subject, Kmalloc kmalloc) {
    return switch (subject) {
      case ArenaBench.OURS ->
          arenas.shared()
              ? () -> AccountedArena.ofShared(kmalloc)
              : () -> AccountedArena.ofConfined(kmalloc);
      case ArenaBench.JDK -> arenas.shared() ? Arena::ofShared : Arena::ofConfined;
      default -> throw new IllegalArgumentException("unknown subject: name=" + subject);
    };
  }

  private static void run(Opening opening, ObjCgroup tenant, int nrSegments, int nrTimes) {
    try (Scope _ = tenant.enter()) {
      for (int i = 0; i < nrTimes; i++) {
        try (Arena arena = opening.open()) {
          for (int k = 0; k < nrSegments; k++) {
            arena.allocate(SEGMENT_BYTES, Long.BYTES).set(JAVA_LONG, 0, k);
          }
        }
      }
    }
  }
}
