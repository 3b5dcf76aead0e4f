package io.memcg4j.memcg;

import static org.junit.jupiter.api.Assertions.assertThrows;

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

  private static StressOptions options() {
    boolean isShort = System.getProperty("memcg4j.jcstress", "short").equals("short");
    return new StressOptions()
        .iterations(isShort ? 20 : 200)
        .invocationsPerIteration(isShort ? 1000 : 10_000)
        .threads(2)
        .actorsPerThread(3);
  }

  @Test
  void tree_isLinearizable() {
    options().check(Reserving.class);
  }

  @Test
  void treeThatAddsAndUndoes_isCaught() {
    assertThrows(
        LincheckAssertionError.class,
        () ->
            options().iterations(200).invocationsPerIteration(5000).check(AddingAndUndoing.class));
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
