package io.memcg4j.memcg;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** A tree of groups as one would write it down: one thread, plain additions, walks up. In pages. */
final class ReferenceTree {
  static final class Node {
    final @Nullable Node parent;
    final MemCgroup group;
    final List<Node> children = new ArrayList<>();
    long usage;
    long peak;
    long max = Long.MAX_VALUE;
    long maxEvents;
    boolean online = true;

    Node(@Nullable Node parent, MemCgroup group) {
      this.parent = parent;
      this.group = group;
    }

    /** The nearest node that has no room; null if all have. */
    @Nullable Node refusing(long nrPages) {
      for (Node node = this; node != null; node = node.parent) {
        if (node.usage + nrPages > node.max) {
          return node;
        }
      }
      return null;
    }

    void charge(long nrPages) {
      for (Node node = this; node != null; node = node.parent) {
        node.usage += nrPages;
        node.peak = Math.max(node.peak, node.usage);
      }
    }

    void uncharge(long nrPages) {
      for (Node node = this; node != null; node = node.parent) {
        node.usage -= nrPages;
      }
    }

    void countMaxEvent() {
      for (Node node = this; node != null; node = node.parent) {
        node.maxEvents++;
      }
    }

    /** This node, or the nearest one above that was not removed. */
    Node nearestOnline() {
      Node node = this;
      while (!node.online && node.parent != null) {
        node = node.parent;
      }
      return node;
    }
  }

  final List<Node> online = new ArrayList<>();

  ReferenceTree(MemCgroup root) {
    online.add(new Node(null, root));
  }

  Node create(Node parent, String name) {
    Node node = new Node(parent, parent.group.create(name));
    parent.children.add(node);
    online.add(node);
    return node;
  }

  void remove(Node node) {
    node.online = false;
    online.remove(node);
    if (node.parent != null) {
      node.parent.children.remove(node);
    }
  }
}
