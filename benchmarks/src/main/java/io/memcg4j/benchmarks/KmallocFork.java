package io.memcg4j.benchmarks;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.ObjCgroups;
import io.memcg4j.objcg.Scope;
import io.memcg4j.slab.Kmalloc;
import java.util.Map;

/** Measures one subject in one case; runs in a process of its own. */
final class KmallocFork {
  /** Room for 16 million objects; small, because one array has an element for each place. */
  private static final long RANGE_BYTES = 1L << 30;

  private KmallocFork() {}

  /** Arguments: name, case, subject, objects, rounds. */
  static Map<String, Double> measure(String[] args) {
    return measure(KmallocCase.of(args[1]), args[2], LoopPlan.parse(args[3], args[4]));
  }

  static Map<String, Double> measure(KmallocCase which, String subject, LoopPlan plan) {
    MemCgroup root = MemCgroup.root();
    MemCgroup group = which.groupBelow(root);
    boolean accounting = subject.equals(KmallocBench.SCOPED);
    try (Kmalloc kmalloc =
            Kmalloc.builder(root).accounting(accounting).rangeBytes(RANGE_BYTES).build();
        Scope scope = ObjCgroup.of(group).enter()) {
      KmallocLoop loop =
          subject.equals(KmallocBench.ORIGINAL)
              ? original(which, root, kmalloc, scope)
              : plain(which, kmalloc, scope);
      return LoopTimer.measure(loop, plan);
    }
  }

  private static KmallocLoop plain(KmallocCase which, Kmalloc kmalloc, Scope scope) {
    return which.isBound()
        ? new KmallocLoop.Bound(kmalloc.bind(scope))
        : new KmallocLoop.Static(kmalloc);
  }

  private static KmallocLoop original(
      KmallocCase which, MemCgroup root, Kmalloc kmalloc, Scope scope) {
    OriginalAccounting accounts =
        new OriginalAccounting(ObjCgroups.of(root), scope.frame(), RANGE_BYTES);
    return which.isBound()
        ? new OriginalLoop.Bound(accounts, scope.frame(), kmalloc.bind(scope))
        : new OriginalLoop.Static(accounts, kmalloc);
  }
}
