package io.memcg4j.memcg;

import java.util.Comparator;
import java.util.List;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * What few groups have beside a counter: limits other than max, shrinkers, a policy, waiters,
 * declared charges, listeners. Made on first use, so that a million plain groups stay small.
 */
final class GroupControls {
  /*
   * Invariant  nrShrinkersBelow = shrinkers of this group and of all groups below: a walk leaves out
   *            whole subtrees. shrinkers is sorted by priority.
   * Ordering   each field for itself, volatile; whoever reads two of them may see two moments.
   */
  volatile long minPages;
  volatile long lowPages;
  volatile long highPages = PageCounter.UNLIMITED_PAGES;
  volatile boolean oomGroup;
  volatile @Nullable OomHandler oomHandler;
  volatile @Nullable OomVictim victim;

  final CopyOnWriteArrayList<ShrinkerRegistration> shrinkers = new CopyOnWriteArrayList<>();
  final AtomicInteger nrShrinkersBelow = new AtomicInteger();
  final ConcurrentLinkedQueue<Charge> charges = new ConcurrentLinkedQueue<>();
  final CopyOnWriteArrayList<Consumer<MemoryEvents>> listeners = new CopyOnWriteArrayList<>();
  final PeakMarks peakMarks = new PeakMarks();

  synchronized void add(ShrinkerRegistration registration) {
    shrinkers.add(registration);
    List<ShrinkerRegistration> sorted =
        shrinkers.stream().sorted(Comparator.comparingInt(ShrinkerRegistration::priority)).toList();
    if (!sorted.equals(shrinkers)) {
      shrinkers.clear();
      shrinkers.addAll(sorted);
    }
  }
}
