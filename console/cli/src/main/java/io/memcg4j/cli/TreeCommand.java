package io.memcg4j.cli;

import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(name = "tree", description = "Shows all groups with usage and limits.")
final class TreeCommand extends ConsoleCommand {
  private static final String ROW = "%-40s %8s %8s %8s %6s %9s %7s%n";

  @Option(
      names = "--depth",
      paramLabel = "N",
      defaultValue = "1000000",
      description = "Levels below the top that are shown.")
  private int depth;

  @Parameters(arity = "0..1", paramLabel = "GROUP", defaultValue = "/", description = "The top.")
  private String top = "/";

  @Override
  public Integer call() {
    GroupFigures.Snapshot snapshot = GroupFigures.read(connect());
    String from = GroupFigures.normal(top);
    Map<String, GroupFigures> byPath = snapshot.byPath();
    GroupFigures first = byPath.get(from);
    if (first == null) {
      throw CliException.failed("no such group: path=" + from);
    }
    PrintWriter out = main().out();
    if (main().isJson()) {
      snapshot.groups().stream()
          .filter(group -> group.isAt(from) && group.depth() - first.depth() <= depth)
          .sorted(Comparator.comparing(GroupFigures::path))
          .forEach(group -> out.println(Json.write(group.values())));
      return Main.OK;
    }
    Map<String, List<GroupFigures>> children = new HashMap<>();
    for (GroupFigures group : snapshot.groups()) {
      if (group.depth() > 0) {
        String parent = group.path().substring(0, group.path().lastIndexOf('/'));
        children
            .computeIfAbsent(parent.isEmpty() ? "/" : parent, _ -> new ArrayList<>())
            .add(group);
      }
    }
    out.printf(Locale.ROOT, ROW, "GROUP", "USAGE", "HIGH", "MAX", "%MAX", "REFUSALS", "STALL%");
    print(out, first, children, "", "", depth);
    return Main.OK;
  }

  private static void print(
      PrintWriter out,
      GroupFigures group,
      Map<String, List<GroupFigures>> children,
      String branch,
      String indent,
      int levels) {
    double percent = group.percentOfMax();
    String name = branch + Printable.line(branch.isEmpty() ? group.path() : group.name());
    out.printf(
        Locale.ROOT,
        ROW,
        name,
        Sizes.human(group.usage()),
        Sizes.limit(group.high()),
        Sizes.limit(group.max()),
        percent < 0 ? "-" : String.format(Locale.ROOT, "%.0f%%", percent),
        group.refusals(),
        String.format(Locale.ROOT, "%.2f", group.getDouble("some10")));
    if (levels <= 0) {
      return;
    }
    List<GroupFigures> below = children.getOrDefault(group.path(), new ArrayList<>());
    below.sort(Comparator.comparing(GroupFigures::name));
    for (int i = 0; i < below.size(); i++) {
      boolean isLast = i == below.size() - 1;
      print(
          out,
          below.get(i),
          children,
          indent + (isLast ? "└─ " : "├─ "),
          indent + (isLast ? "   " : "│  "),
          levels - 1);
    }
  }
}
