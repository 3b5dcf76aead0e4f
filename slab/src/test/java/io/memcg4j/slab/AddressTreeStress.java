package io.memcg4j.slab;

import io.memcg4j.testkit.Jcstress;
import org.junit.jupiter.api.Test;
import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.Expect;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.II_Result;
import org.openjdk.jcstress.infra.results.I_Result;

/** One lookup of {@link AddressTree} beside changes: publication of nodes and of versions. */
final class AddressTreeStress {
  @Test
  void find_whileNodesAreSplitAndJoined_holds() {
    Jcstress.assertHolds(Present.class);
  }

  @Test
  void find_inANodeThatIsChangedInPlace_breaks() {
    Jcstress.assertBreaks(InPlace.class);
  }

  @Test
  void find_whileReplaced_holds() {
    Jcstress.assertHolds(OneVersion.class);
  }

  @Test
  void find_startAndSizeStoredApart_breaks() {
    Jcstress.assertBreaks(TwoStores.class);
  }

  private static final int NR_RANGES = 64; // a full leaf: one more splits it
  private static final int SOUGHT = 40;

  /** A present range is looked for while its leaf is split, and joined again. */
  @JCStressTest
  @Outcome(id = "1", expect = Expect.ACCEPTABLE, desc = "found")
  @Outcome(expect = Expect.FORBIDDEN, desc = "a present range was missed")
  @State
  public static class Present {
    private final AddressTree<Integer> tree = new AddressTree<>();

    public Present() {
      for (int i = 0; i < NR_RANGES; i++) {
        tree.insert(i * 10L, 5, i);
      }
    }

    @Actor
    public void writer() {
      tree.insert(7, 1, -1);
      tree.remove(7);
      tree.remove(0);
    }

    @Actor
    public void reader(I_Result r) {
      Integer value = tree.find(SOUGHT * 10L + 3);
      r.r1 = value != null && value == SOUGHT ? 1 : 0;
    }
  }

  /** A sorted array whose entries are moved aside for a new one, as a B-tree does on disk. */
  @JCStressTest
  @Outcome(id = "1", expect = Expect.ACCEPTABLE, desc = "found")
  @Outcome(id = "0", expect = Expect.ACCEPTABLE_INTERESTING, desc = "a present range was missed")
  @State
  public static class InPlace {
    private final long[] starts = new long[NR_RANGES + 1];
    private volatile int size = NR_RANGES;

    public InPlace() {
      for (int i = 0; i < NR_RANGES; i++) {
        starts[i] = i * 10L;
      }
    }

    @Actor
    public void writer() {
      for (int i = NR_RANGES; i > 1; i--) {
        starts[i] = starts[i - 1];
      }
      starts[1] = 7;
      size = NR_RANGES + 1;
      for (int i = 0; i < NR_RANGES; i++) {
        starts[i] = starts[i + 1];
      }
      size = NR_RANGES;
    }

    @Actor
    public void reader(I_Result r) {
      long address = SOUGHT * 10L + 3;
      int low = 0;
      for (int left = size; left > 1; ) {
        int half = left >>> 1;
        low += starts[low + half] <= address ? half : 0;
        left -= half;
      }
      r.r1 = starts[low] == SOUGHT * 10L ? 1 : 0;
    }
  }

  /** A range changes its size and its value. */
  @JCStressTest
  @Outcome(id = "10, 10", expect = Expect.ACCEPTABLE, desc = "before")
  @Outcome(id = "20, 20", expect = Expect.ACCEPTABLE, desc = "after")
  @Outcome(expect = Expect.FORBIDDEN, desc = "mixed, or missed")
  @State
  public static class OneVersion {
    private final AddressTree<Integer> tree = new AddressTree<>();

    public OneVersion() {
      tree.insert(100, 10, 10);
    }

    @Actor
    public void writer() {
      tree.replace(100, 20, 20);
    }

    @Actor
    public void reader(II_Result r) {
      AddressTree.Range<Integer> range = tree.findRange(105);
      r.r1 = range == null ? 0 : (int) range.nrBytes();
      r.r2 = range == null ? 0 : range.value();
    }
  }

  /** Size and value are two fields of a node that stays. */
  @JCStressTest
  @Outcome(
      id = {"10, 10", "20, 20"},
      expect = Expect.ACCEPTABLE,
      desc = "one version")
  @Outcome(expect = Expect.ACCEPTABLE_INTERESTING, desc = "mixed")
  @State
  public static class TwoStores {
    private volatile int nrBytes = 10;
    private volatile int value = 10;

    @Actor
    public void writer() {
      nrBytes = 20;
      value = 20;
    }

    @Actor
    public void reader(II_Result r) {
      r.r1 = nrBytes;
      r.r2 = value;
    }
  }
}
