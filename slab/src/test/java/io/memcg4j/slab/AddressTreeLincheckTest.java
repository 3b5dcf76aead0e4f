package io.memcg4j.slab;

import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.Map;
import java.util.TreeMap;
import org.jetbrains.lincheck.LincheckAssertionError;
import org.jetbrains.lincheck.datastructures.IntGen;
import org.jetbrains.lincheck.datastructures.Operation;
import org.jetbrains.lincheck.datastructures.Param;
import org.jetbrains.lincheck.datastructures.StressOptions;
import org.junit.jupiter.api.Test;

/**
 * Ranges come, go and are looked for, by any thread, as if one after the other: beside splits and
 * joins of full nodes, and with a range and its size always of one version.
 */
public class AddressTreeLincheckTest {
  private static final int NR_RANGES = 64; // a full leaf: one more splits it
  private static final int STRIDE = 10;

  private static StressOptions options() {
    boolean isShort = System.getProperty("memcg4j.jcstress", "short").equals("short");
    return new StressOptions()
        .iterations(isShort ? 15 : 150)
        .invocationsPerIteration(isShort ? 500 : 10_000)
        .threads(3)
        .actorsPerThread(3);
  }

  @Test
  void tree_isLinearizable() {
    options().check(Persistent.class);
  }

  @Test
  void treeThatChangesInPlace_isCaught() {
    assertThrows(
        LincheckAssertionError.class,
        () -> options().iterations(100).invocationsPerIteration(2000).check(InPlace.class));
  }

  /** The product's tree: ranges of size 5 every 10 addresses, and others between them. */
  public static class Persistent {
    private final AddressTree<Integer> tree = new AddressTree<>();

    /** One full leaf. */
    public Persistent() {
      for (int i = 0; i < NR_RANGES; i++) {
        tree.insert((long) i * STRIDE, 5, i);
      }
    }

    @Operation
    public boolean insert(@Param(gen = IntGen.class, conf = "0:2") int key) {
      try {
        tree.insert((long) key * STRIDE + 7, 1, -key);
        return true;
      } catch (IllegalArgumentException e) {
        return false; // there is one
      }
    }

    @Operation
    public int remove(@Param(gen = IntGen.class, conf = "0:5") int key) {
      AddressTree.Range<Integer> removed =
          tree.remove((long) key / 2 * STRIDE + (key % 2 == 0 ? 0 : 7));
      return removed == null ? -1 : (int) removed.nrBytes();
    }

    @Operation
    public String find(@Param(gen = IntGen.class, conf = "0:32") int address) {
      return String.valueOf(tree.findRange(address));
    }

    @Operation
    public int size() {
      return tree.size();
    }
  }

  /** A tree that rotates under its readers. */
  public static class InPlace {
    private final TreeMap<Long, Integer> tree = new TreeMap<>();

    /** As many as above. */
    public InPlace() {
      for (int i = 0; i < NR_RANGES; i++) {
        tree.put((long) i * STRIDE, i);
      }
    }

    @Operation(nonParallelGroup = "writers")
    public void insert(@Param(gen = IntGen.class, conf = "0:2") int key) {
      tree.put((long) key * STRIDE + 7, -key);
    }

    @Operation(nonParallelGroup = "writers")
    public int remove(@Param(gen = IntGen.class, conf = "0:5") int key) {
      Integer removed = tree.remove((long) key / 2 * STRIDE + (key % 2 == 0 ? 0 : 7));
      return removed == null ? -1 : removed;
    }

    @Operation
    public String find(@Param(gen = IntGen.class, conf = "0:32") int address) {
      Map.Entry<Long, Integer> found = tree.floorEntry((long) address);
      return found == null ? "" : found.toString();
    }
  }
}
