package io.memcg4j.memcg;

import static org.junit.jupiter.api.Assertions.assertThrows;

import io.memcg4j.testkit.Proof;
import java.util.concurrent.atomic.AtomicInteger;
import org.jetbrains.lincheck.LincheckAssertionError;
import org.jetbrains.lincheck.datastructures.IntGen;
import org.jetbrains.lincheck.datastructures.Operation;
import org.jetbrains.lincheck.datastructures.Param;
import org.jetbrains.lincheck.datastructures.StressOptions;
import org.junit.jupiter.api.Test;

/**
 * Charges of a tree are granted and refused as if each happened at one moment, at all levels: also
 * beside requests that are refused further up, and while a limit is set.
 */
public class PageCounterLincheckTest {
  private static final int LEAF_MAX = 4;
  private static final int ROOT_MAX = 3;
  private static final int CHARGED = 2;

  private static final boolean IS_SHORT =
      System.getProperty("memcg4j.jcstress", "short").equals("short");
  private static final int NR_SCENARIOS = IS_SHORT ? 20 : 200;
  private static final int NR_INVOCATIONS = IS_SHORT ? 1000 : 10_000;
  private static final String SEEN = "Lincheck: " + NR_SCENARIOS + " scenarios of 2 threads";

  private static StressOptions options() {
    return new StressOptions()
        .iterations(NR_SCENARIOS)
        .invocationsPerIteration(NR_INVOCATIONS)
        .threads(2)
        .actorsPerThread(3);
  }

  @Test
  void tree_isLinearizable() {
    Proof proof = Proof.begin(getClass(), "Reserving");
    options().check(Reserving.class);
    proof.holds((long) NR_SCENARIOS * NR_INVOCATIONS, SEEN);
  }

  @Test
  void treeThatAddsAndUndoes_isCaught() {
    Proof proof = Proof.begin(getClass(), "AddingAndUndoing");
    assertThrows(
        LincheckAssertionError.class,
        () ->
            options().iterations(200).invocationsPerIteration(5000).check(AddingAndUndoing.class));
    proof.breaks(200 * 5000, "Lincheck: 200 scenarios at most");
  }

  /** The product's counters: two leaves below a root that has less room than each of them. */
  public static class Reserving {
    private final PageCounter root = new PageCounter(null);
    private final PageCounter[] leaves = {new PageCounter(root), new PageCounter(root)};
    // What may be given back: charged in the beginning, so that nobody gives back what is not
    // granted yet.
    private final AtomicInteger left = new AtomicInteger(CHARGED);

    /** Some of the root's room is taken. */
    public Reserving() {
      root.setMax(ROOT_MAX);
      for (PageCounter leaf : leaves) {
        leaf.setMax(LEAF_MAX);
      }
      leaves[0].tryCharge(CHARGED);
    }

    @Operation
    public boolean charge(
        @Param(gen = IntGen.class, conf = "0:1") int leaf,
        @Param(gen = IntGen.class, conf = "1:4") int nrPages) {
      return leaves[leaf].reserveAndCommit(nrPages) == null;
    }

    @Operation
    public boolean uncharge() {
      if (left.getAndUpdate(tokens -> Math.max(0, tokens - 1)) == 0) {
        return false;
      }
      leaves[0].uncharge(1);
      return true;
    }

    @Operation
    public void setRootMax(@Param(gen = IntGen.class, conf = "1:5") int nrPages) {
      root.setMax(nrPages);
    }
  }

  /** The kernel's way: adds at every level, and takes it back when one refuses. */
  public static class AddingAndUndoing {
    private final AtomicInteger root = new AtomicInteger(CHARGED);
    private final AtomicInteger[] leaves = {new AtomicInteger(CHARGED), new AtomicInteger()};

    @Operation
    public boolean charge(
        @Param(gen = IntGen.class, conf = "0:1") int leaf,
        @Param(gen = IntGen.class, conf = "1:4") int nrPages) {
      if (leaves[leaf].addAndGet(nrPages) > LEAF_MAX) {
        leaves[leaf].addAndGet(-nrPages);
        return false;
      }
      if (root.addAndGet(nrPages) > ROOT_MAX) {
        root.addAndGet(-nrPages);
        leaves[leaf].addAndGet(-nrPages);
        return false;
      }
      return true;
    }
  }
}
