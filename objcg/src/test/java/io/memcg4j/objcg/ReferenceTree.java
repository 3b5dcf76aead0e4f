package io.memcg4j.objcg;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.TestAllocator.Live;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * Who pays for what, as one would write it down: groups that are there or not, and sums over lists
 * of objects. Its shape changes under one lock.
 */
final class ReferenceTree {
  /** A group, its handle from the time when it was made, and what became of it. */
  static final class Node {
    final @Nullable Node parent;
    final MemCgroup group;
    final ObjCgroup handle;
    volatile boolean online = true;
    int nrChildren;

    Node(@Nullable Node parent, MemCgroup group) {
      this.parent = parent;
      this.group = group;
      this.handle = ObjCgroup.of(group);
    }

    Node nearestOnline() {
      Node node = this;
      while (!node.online && node.parent != null) {
        node = node.parent;
      }
      return node;
    }

    boolean isBelow(Node ancestorOrSelf) {
      for (Node node = this; node != null; node = node.parent) {
        if (node == ancestorOrSelf) {
          return true;
        }
      }
      return false;
    }

    @Override
    public String toString() {
      return group.path() + (online ? "" : " (removed)");
    }
  }

  private final List<Node> online = new ArrayList<>();
  private final List<Node> all = new ArrayList<>();
  private final Map<ObjCgroup, Node> byHandle = new ConcurrentHashMap<>();
  private int nrNames;

  ReferenceTree(MemCgroup root) {
    add(new Node(null, root));
  }

  private Node add(Node node) {
    online.add(node);
    all.add(node);
    byHandle.put(node.handle, node);
    return node;
  }

  synchronized List<Node> online() {
    return List.copyOf(online);
  }

  /** Any node; now and then one that was removed. */
  synchronized Node any(Random random) {
    List<Node> from = random.nextInt(10) == 0 ? all : online;
    return from.get(random.nextInt(from.size()));
  }

  /** A new group, sometimes with a limit, which is never lowered. */
  synchronized void create(Random random, int maxGroups) {
    Node parent = online.get(random.nextInt(online.size()));
    if (online.size() < maxGroups) {
      Node node = new Node(parent, parent.group.create("n" + nrNames++));
      if (random.nextInt(3) == 0) {
        node.group.setMax(random.nextInt(1, 400) * (long) MemCgroup.PAGE_SIZE);
      }
      parent.nrChildren++;
      add(node);
    }
  }

  synchronized void remove(Random random) {
    Node node = online.get(random.nextInt(online.size()));
    if (node.parent != null && node.nrChildren == 0) {
      online.remove(node);
      node.parent.nrChildren--;
      node.group.remove();
      node.online = false;
    }
  }

  /** The node whose handle it is. */
  Node nodeOf(ObjCgroup handle) {
    Node node = byHandle.get(handle);
    if (node == null) {
      throw new AssertionError("a handle of no group: " + handle);
    }
    return node;
  }

  // ---- sums; nobody else may be at work

  /** What each group is charged at rest, given all live objects. */
  synchronized Map<Node, Long> usage(Iterable<Live> live) {
    Map<Node, Long> usage = new HashMap<>();
    bytes(live)
        .forEach((owner, nrBytes) -> {
          if (owner.parent != null) {
            for (Node node = owner.nearestOnline(); node != null; node = node.parent) {
              usage.merge(node, TestAllocator.pageBytes(nrBytes), Long::sum);
            }
          }
        });
    return usage;
  }

  private Map<Node, Long> bytes(Iterable<Live> live) {
    Map<Node, Long> bytes = new HashMap<>();
    live.forEach(object -> bytes.merge(nodeOf(object.owner()), object.nrBytes(), Long::sum));
    return bytes;
  }

  /** Handles that must exist: those of groups, and those with live objects. */
  synchronized int nrHandles(Iterable<Live> live) {
    Map<Node, Long> bytes = bytes(live);
    int nrDying = 0;
    for (Node node : bytes.keySet()) {
      nrDying += node.online ? 0 : 1;
    }
    return online.size() + nrDying;
  }

  /** What can still be charged to a node, to the byte. */
  synchronized long room(Node node, Iterable<Live> live) {
    Map<Node, Long> usage = usage(live);
    long room = Long.MAX_VALUE;
    for (Node level = node; level != null; level = level.parent) {
      if (level.group.max() != MemCgroup.UNLIMITED) {
        room = Math.min(room, level.group.max() - usage.getOrDefault(level, 0L));
      }
    }
    if (room != Long.MAX_VALUE) {
      long nrBytes = bytes(live).getOrDefault(node, 0L);
      room += TestAllocator.pageBytes(nrBytes) - nrBytes;
    }
    return room;
  }
}
