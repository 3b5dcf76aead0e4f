package io.memcg4j.console;

import io.memcg4j.memcg.MemCgroup;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Deque;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * All groups of a tree with what was last read of them. For the thread that has the ticker's lock.
 */
final class GroupTable {
  private static final int NO_PARENT = -1;

  private final MemCgroup root;

  /** A parent is before its children: it is met first, and what was removed is never met again. */
  private final Map<MemCgroup, GroupRow> rows = new LinkedHashMap<>();

  private int nextId;
  private long pass;

  /**
   * What one pass over the tree found.
   *
   * @param appeared new groups, parents first
   * @param changed others whose figures are not what they were
   * @param withEvents those of both that had events
   * @param gone numbers of removed groups
   */
  record Changes(
      List<GroupRow> appeared,
      List<GroupRow> changed,
      List<GroupRow> withEvents,
      List<Integer> gone) {
    boolean isEmpty() {
      return appeared.isEmpty() && changed.isEmpty() && gone.isEmpty();
    }
  }

  GroupTable(MemCgroup root) {
    this.root = root;
  }

  Collection<GroupRow> rows() {
    return rows.values();
  }

  @Nullable GroupRow row(MemCgroup group) {
    return rows.get(group);
  }

  /** Reads all groups. Cost: about 0.2 µs each. */
  Changes read() {
    pass++;
    Changes changes =
        new Changes(new ArrayList<>(), new ArrayList<>(), new ArrayList<>(), new ArrayList<>());
    Deque<GroupRow> open = new ArrayDeque<>();
    open.push(visit(root, NO_PARENT, changes));
    while (!open.isEmpty()) {
      GroupRow parent = open.pop();
      for (MemCgroup child : parent.group.children()) {
        open.push(visit(child, parent.id, changes));
      }
    }
    Iterator<GroupRow> all = rows.values().iterator();
    while (all.hasNext()) {
      GroupRow row = all.next();
      if (row.pass != pass) {
        changes.gone.add(row.id);
        all.remove();
      }
    }
    return changes;
  }

  private GroupRow visit(MemCgroup group, int parentId, Changes changes) {
    GroupRow row = rows.get(group);
    if (row == null) {
      row = new GroupRow(nextId++, parentId, group);
      rows.put(group, row);
      changes.appeared.add(row);
    } else {
      GroupRow.Change change = row.read();
      if (change != GroupRow.Change.NONE) {
        changes.changed.add(row);
      }
      if (change == GroupRow.Change.EVENTS) {
        changes.withEvents.add(row);
      }
    }
    row.pass = pass;
    return row;
  }
}
