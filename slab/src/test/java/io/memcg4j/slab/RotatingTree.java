package io.memcg4j.slab;

import java.util.Random;
import org.jspecify.annotations.Nullable;

/**
 * The broken twin of {@link AddressTree}: a balanced binary tree that is changed in place, by
 * rotations, and read without a lock. A treap, which rotates as a red-black tree does, in fewer
 * lines.
 */
final class RotatingTree {
  private static final int MAX_STEPS = 10_000; // a reader may meet a circle

  private static final class Node {
    final long start;
    final long end;
    final int priority;
    volatile @Nullable Node left;
    volatile @Nullable Node right;

    Node(long start, long end, int priority) {
      this.start = start;
      this.end = end;
      this.priority = priority;
    }
  }

  private final Random random;
  private volatile @Nullable Node root;

  RotatingTree(long seed) {
    random = new Random(seed);
  }

  boolean contains(long address) {
    Node node = root;
    for (int i = 0; node != null && i < MAX_STEPS; i++) {
      if (address >= node.start && address < node.end) {
        return true;
      }
      node = address < node.start ? node.left : node.right;
    }
    return false;
  }

  synchronized void insert(long start, long nrBytes) {
    root = insert(root, new Node(start, start + nrBytes, random.nextInt()));
  }

  private static Node insert(@Nullable Node top, Node added) {
    if (top == null) {
      return added;
    }
    if (added.start < top.start) {
      Node child = insert(top.left, added);
      top.left = child;
      return child.priority > top.priority ? rotatedRight(top, child) : top;
    }
    Node child = insert(top.right, added);
    top.right = child;
    return child.priority > top.priority ? rotatedLeft(top, child) : top;
  }

  private static Node rotatedRight(Node top, Node child) {
    top.left = child.right;
    child.right = top;
    return child;
  }

  private static Node rotatedLeft(Node top, Node child) {
    top.right = child.left;
    child.left = top;
    return child;
  }

  synchronized void remove(long start) {
    root = remove(root, start);
  }

  private static @Nullable Node remove(@Nullable Node top, long start) {
    if (top == null) {
      return null;
    }
    if (start != top.start) {
      if (start < top.start) {
        top.left = remove(top.left, start);
      } else {
        top.right = remove(top.right, start);
      }
      return top;
    }
    Node left = top.left;
    Node right = top.right;
    if (left == null) {
      return right;
    }
    if (right == null) {
      return left;
    }
    Node next;
    if (left.priority > right.priority) {
      next = rotatedRight(top, left);
      next.right = remove(top, start);
    } else {
      next = rotatedLeft(top, right);
      next.left = remove(top, start);
    }
    return next;
  }
}
