package io.memcg4j.cli;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Figures of one group at one moment, as {@code /tree} tells them.
 *
 * @param path from the root
 * @param values by name; sizes in bytes, no limit is -1
 */
record GroupFigures(String path, Map<String, @Nullable Object> values) {
  /** Of all groups, in the order of the console: parents first. */
  record Snapshot(long timeMillis, List<GroupFigures> groups) {
    Map<String, GroupFigures> byPath() {
      Map<String, GroupFigures> found = new HashMap<>();
      groups.forEach(group -> found.put(group.path, group));
      return found;
    }
  }

  static Snapshot read(Connection connection) {
    Map<String, @Nullable Object> tree = connection.json("/tree");
    List<GroupFigures> groups = new ArrayList<>();
    for (Object row : Json.list(tree.get("groups"))) {
      Map<String, @Nullable Object> values = Json.object(row);
      groups.add(new GroupFigures(String.valueOf(values.get("path")), values));
    }
    return new Snapshot(number(tree.get("t")).longValue(), groups);
  }

  private static Number number(@Nullable Object value) {
    return value instanceof Number number ? number : 0L;
  }

  long get(String name) {
    return number(values.get(name)).longValue();
  }

  double getDouble(String name) {
    return number(values.get(name)).doubleValue();
  }

  long usage() {
    return get("usage");
  }

  long max() {
    return get("max");
  }

  long high() {
    return get("high");
  }

  /** Requests that met the limit. */
  long refusals() {
    return get("eventsMax");
  }

  /** Usage as a part of the limit in percent; -1 without a limit. */
  double percentOfMax() {
    return max() < 0 ? -1 : max() == 0 ? 100 : 100.0 * usage() / max();
  }

  boolean isAt(String top) {
    return path.equals(top) || path.startsWith(top.equals("/") ? "/" : top + "/");
  }

  /** The last name; the root is a slash. */
  String name() {
    return path.equals("/") ? "/" : path.substring(path.lastIndexOf('/') + 1);
  }

  int depth() {
    return path.equals("/") ? 0 : (int) path.chars().filter(c -> c == '/').count();
  }

  /** With the slash in front, and none behind. */
  static String normal(String path) {
    String joined =
        String.join("/", List.of(path.split("/", -1)).stream().filter(n -> !n.isEmpty()).toList());
    return "/" + joined;
  }
}
