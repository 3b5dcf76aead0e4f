package io.memcg4j.slab;

import java.util.Arrays;
import java.util.Locale;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Ranges of addresses that do not overlap, found by any address inside them. Readers take no lock,
 * never wait and allocate nothing, whatever writers do at the same time.
 *
 * <p>What a reader can rely on: a range that is in the tree for the whole lookup is found; one
 * whose removal has returned before the lookup began is not; start, size and value are of one
 * version. A walk sees the tree as it was at one moment.
 *
 * <p>Thread-safe. A lookup among a million ranges touches four nodes; a change copies them, about 3
 * KB, under a lock that readers never see.
 *
 * <p>Origin: the problem of Linux' rb_erase, whose rotations hide subtrees from readers without a
 * lock; the answer is that of Bonsai (Clements and others, 2012), copies published by one store, in
 * the wide nodes of a B-tree.
 *
 * @param <V> what is known of a range
 */
public final class AddressTree<V> {
  /*
   * Layout     immutable nodes: firsts[i] is the lowest start below children[i]; in a leaf (height 0)
   *            children are ranges, above it nodes. All leaves have the same distance from the root.
   * Invariant  firsts ascends strictly, also across neighbours; a node has 1 to MAX_CHILDREN children,
   *            ranges do not overlap.
   * Ordering   a change builds the nodes from leaf to root anew and publishes them by the one volatile
   *            store of root. A reader loads root once: its lookup happens at that load. Fields of
   *            nodes are final. Twin: AddressTreeStress.InPlace.
   * Locks      writing: one writer at a time. Leaf; nothing is called with it held.
   * Not        that a node is half full: a leaf that was split off at the end of the tree begins with
   * guaranteed one range, and only removals look at how full nodes are.
   */
  private static final int MAX_CHILDREN = 64;
  private static final int MIN_CHILDREN = MAX_CHILDREN / 4;
  private static final int MAX_JOINED = MAX_CHILDREN * 3 / 4;

  /**
   * A range in the tree.
   *
   * @param <V> what is known of it
   * @param start the first address
   * @param nrBytes its size, at least 1
   * @param value what is known of it
   */
  public record Range<V>(long start, long nrBytes, V value) {
    /**
     * The first address behind it.
     *
     * @return start and size together
     */
    public long end() {
      return start + nrBytes;
    }

    private boolean contains(long address) {
      return Long.compareUnsigned(address - start, nrBytes) < 0;
    }
  }

  private static final class Node {
    final int height;
    final long[] firsts;
    final Object[] children;

    Node(int height, long[] firsts, Object[] children) {
      this.height = height;
      this.firsts = firsts;
      this.children = children;
    }

    int size() {
      return firsts.length;
    }

    long first() {
      return firsts[0];
    }

    /** The last child that begins at or before an address; -1 if all begin behind it. */
    int floor(long address) {
      long[] keys = firsts;
      int low = 0;
      for (int left = keys.length; left > 1; ) {
        int half = left >>> 1;
        low += keys[low + half] <= address ? half : 0;
        left -= half;
      }
      return keys[low] <= address ? low : -1;
    }

    Node node(int index) {
      return (Node) children[index];
    }

    Node with(int index, long first, Object child) {
      long[] newFirsts = firsts;
      if (first != firsts[index]) {
        newFirsts = firsts.clone();
        newFirsts[index] = first;
      }
      Object[] newChildren = children.clone();
      newChildren[index] = child;
      return new Node(height, newFirsts, newChildren);
    }

    Node plus(int index, long first, Object child) {
      int size = size();
      long[] newFirsts = Arrays.copyOf(firsts, size + 1);
      Object[] newChildren = Arrays.copyOf(children, size + 1);
      System.arraycopy(firsts, index, newFirsts, index + 1, size - index);
      System.arraycopy(children, index, newChildren, index + 1, size - index);
      newFirsts[index] = first;
      newChildren[index] = child;
      return new Node(height, newFirsts, newChildren);
    }

    Node minus(int index) {
      int size = size() - 1;
      long[] newFirsts = Arrays.copyOf(firsts, size);
      Object[] newChildren = Arrays.copyOf(children, size);
      System.arraycopy(firsts, index + 1, newFirsts, index, size - index);
      System.arraycopy(children, index + 1, newChildren, index, size - index);
      return new Node(height, newFirsts, newChildren);
    }

    Node part(int from, int to) {
      return new Node(
          height, Arrays.copyOfRange(firsts, from, to), Arrays.copyOfRange(children, from, to));
    }

    Node joined(Node right) {
      long[] newFirsts = Arrays.copyOf(firsts, size() + right.size());
      Object[] newChildren = Arrays.copyOf(children, size() + right.size());
      System.arraycopy(right.firsts, 0, newFirsts, size(), right.size());
      System.arraycopy(right.children, 0, newChildren, size(), right.size());
      return new Node(height, newFirsts, newChildren);
    }
  }

  private final ReentrantLock writing = new ReentrantLock();
  private volatile @Nullable Node root;
  private volatile int nrRanges;
  private @Nullable Node splitOff; // of the insertion under way: what did not fit to the left of it

  /** An empty tree. */
  public AddressTree() {}

  // ---- readers

  /**
   * What is known of the range around an address.
   *
   * @param address any address
   * @return the value; null if no range contains it
   */
  public @Nullable V find(long address) {
    Range<V> range = findRange(address);
    return range == null ? null : range.value;
  }

  /**
   * The range around an address.
   *
   * @param address any address
   * @return the range itself, of one version; null if none contains the address
   */
  public @Nullable Range<V> findRange(long address) {
    Range<V> range = floor(root, address);
    return range != null && range.contains(address) ? range : null;
  }

  /** The range with the highest start at or before an address. */
  private @Nullable Range<V> floor(@Nullable Node from, long address) {
    if (from == null) {
      return null;
    }
    Node node = from;
    int index = node.floor(address);
    while (index >= 0 && node.height > 0) {
      node = node.node(index);
      index = node.floor(address); // never -1: firsts above is the lowest start below
    }
    return index < 0 ? null : range(node, index);
  }

  @SuppressWarnings("unchecked") // leaves hold nothing else
  private Range<V> range(Node leaf, int index) {
    return (Range<V>) leaf.children[index];
  }

  /**
   * Shows all ranges in ascending order, as they were at one moment during the call.
   *
   * @param visitor is called without any lock, and may change the tree
   */
  public void forEach(Consumer<? super Range<V>> visitor) {
    forEach(0, Long.MAX_VALUE, visitor);
  }

  /**
   * Shows the ranges that have any address of an interval, in ascending order, as they were at one
   * moment during the call.
   *
   * @param from the first address
   * @param to the first address behind the interval
   * @param visitor is called without any lock, and may change the tree
   */
  public void forEach(long from, long to, Consumer<? super Range<V>> visitor) {
    Node snapshot = root;
    if (snapshot != null && from < to) {
      walk(snapshot, from, to, visitor);
    }
  }

  private void walk(Node node, long from, long to, Consumer<? super Range<V>> visitor) {
    for (int i = Math.max(0, node.floor(from)); i < node.size() && node.firsts[i] < to; i++) {
      if (node.height > 0) {
        walk(node.node(i), from, to, visitor);
      } else if (range(node, i).end() > from) {
        visitor.accept(range(node, i));
      }
    }
  }

  /**
   * Number of ranges. Racy beside writers; a counter, not a walk.
   *
   * @return at least 0
   */
  public int size() {
    return nrRanges;
  }

  // ---- writers

  /**
   * Adds a range.
   *
   * @param start the first address, at least 0
   * @param nrBytes its size, at least 1
   * @param value what is known of it
   * @throws IllegalArgumentException if it is out of range, or overlaps a range of the tree, which
   *     is named; nothing is changed
   */
  public void insert(long start, long nrBytes, V value) {
    checkRange(start, nrBytes);
    Range<V> range = new Range<>(start, nrBytes, value);
    writing.lock();
    try {
      Node top = root;
      Range<V> other = floor(top, range.end() - 1);
      if (other != null && other.end() > start) {
        throw overlap(range, other);
      }
      if (top == null) {
        top = new Node(0, new long[] {start}, new Object[] {range});
      } else {
        top = inserted(top, range);
        Node right = splitOff;
        if (right != null) {
          splitOff = null;
          top =
              new Node(
                  top.height + 1,
                  new long[] {top.first(), right.first()},
                  new Object[] {top, right});
        }
      }
      root = top;
      int size = nrRanges;
      nrRanges = size + 1;
    } finally {
      writing.unlock();
    }
  }

  private Node inserted(Node node, Range<V> range) {
    int index = node.floor(range.start);
    if (node.height == 0) {
      return fitting(node, index + 1, range.start, range);
    }
    index = Math.max(index, 0);
    Node child = inserted(node.node(index), range);
    Node right = splitOff;
    Node copy = node.with(index, child.first(), child);
    if (right == null) {
      return copy;
    }
    splitOff = null;
    return fitting(copy, index + 1, right.first(), right);
  }

  /** The node with one more child; what is too much for it is left in {@link #splitOff}. */
  private Node fitting(Node node, int index, long first, Object child) {
    Node wide = node.plus(index, first, child);
    if (wide.size() <= MAX_CHILDREN) {
      return wide;
    }
    // Ascending insertions leave full nodes behind them.
    int middle = index == node.size() ? node.size() : wide.size() / 2;
    splitOff = wide.part(middle, wide.size());
    return wide.part(0, middle);
  }

  /**
   * Changes size and value of a range at once: a reader sees the old ones or the new ones.
   *
   * @param start where a range of the tree starts
   * @param nrBytes its new size, at least 1
   * @param value what is known of it now
   * @throws IllegalArgumentException if no range starts there, or the new size is out of range or
   *     overlaps another range, which is named; nothing is changed
   */
  public void replace(long start, long nrBytes, V value) {
    checkRange(start, nrBytes);
    Range<V> range = new Range<>(start, nrBytes, value);
    writing.lock();
    try {
      Node top = root;
      Range<V> before = floor(top, start);
      if (top == null || before == null || before.start != start) {
        throw new IllegalArgumentException(
            String.format(Locale.ROOT, "no range starts here: start=0x%x", start));
      }
      Range<V> last = floor(top, range.end() - 1);
      if (last != null && last.start != start) {
        throw overlap(range, last);
      }
      root = replaced(top, range);
    } finally {
      writing.unlock();
    }
  }

  private Node replaced(Node node, Range<V> range) {
    int index = node.floor(range.start);
    return node.with(
        index, node.firsts[index], node.height == 0 ? range : replaced(node.node(index), range));
  }

  /**
   * Removes the range that starts at an address. Once this returns no lookup that begins finds it.
   *
   * @param start where it starts
   * @return the range; null if none starts there
   */
  public @Nullable Range<V> remove(long start) {
    writing.lock();
    try {
      Node top = root;
      Range<V> range = floor(top, start);
      if (top == null || range == null || range.start != start) {
        return null;
      }
      top = removed(top, start);
      while (top != null && top.height > 0 && top.size() == 1) {
        top = top.node(0);
      }
      root = top;
      int size = nrRanges;
      nrRanges = size - 1;
      return range;
    } finally {
      writing.unlock();
    }
  }

  private @Nullable Node removed(Node node, long start) {
    int index = node.floor(start);
    Node child = node.height == 0 ? null : removed(node.node(index), start);
    if (child == null) {
      return node.size() == 1 ? null : node.minus(index);
    }
    if (child.size() >= MIN_CHILDREN || node.size() == 1) {
      return node.with(index, child.first(), child);
    }
    int left = index == 0 ? 0 : index - 1;
    Node first = left == index ? child : node.node(left);
    Node joined = first.joined(left == index ? node.node(1) : child);
    if (joined.size() <= MAX_JOINED) {
      return node.minus(left + 1).with(left, joined.first(), joined);
    }
    int middle = joined.size() / 2;
    Node right = joined.part(middle, joined.size());
    return node.with(left, joined.first(), joined.part(0, middle))
        .with(left + 1, right.first(), right);
  }

  private static void checkRange(long start, long nrBytes) {
    if (start < 0 || nrBytes < 1 || nrBytes > Long.MAX_VALUE - start) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "range out of range: start=0x%x nrBytes=%d legal=start>=0,nrBytes>=1,end<2^63",
              start,
              nrBytes));
    }
  }

  private static IllegalArgumentException overlap(Range<?> range, Range<?> other) {
    return new IllegalArgumentException(
        String.format(
            Locale.ROOT,
            "range overlaps another: start=0x%x nrBytes=%d otherStart=0x%x otherBytes=%d",
            range.start,
            range.nrBytes,
            other.start,
            other.nrBytes));
  }

  /** For tests: throws where the structure does not hold to its invariant. */
  void checkStructure() {
    Node top = root;
    int found = top == null ? 0 : checked(top, -1, Long.MAX_VALUE);
    if (found != nrRanges) {
      throw new IllegalStateException("wrong size: found=" + found + " nrRanges=" + nrRanges);
    }
  }

  private int checked(Node node, long above, long below) {
    int found = 0;
    for (int i = 0; i < node.size(); i++) {
      long end = i + 1 < node.size() ? node.firsts[i + 1] : below;
      boolean ordered = node.firsts[i] > (i == 0 ? above : node.firsts[i - 1]) && node.size() > 0;
      if (node.height == 0) {
        Range<V> range = range(node, i);
        ordered &= range.start == node.firsts[i] && range.end() <= end;
        found++;
      } else {
        Node child = node.node(i);
        ordered &= child.height == node.height - 1 && child.first() == node.firsts[i];
        found += checked(child, i == 0 ? above : node.firsts[i] - 1, end);
      }
      if (!ordered || node.size() > MAX_CHILDREN) {
        throw new IllegalStateException(
            "structure broken: height=" + node.height + " index=" + i + " size=" + node.size());
      }
    }
    return found;
  }
}
