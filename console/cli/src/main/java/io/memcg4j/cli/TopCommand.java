package io.memcg4j.cli;

import java.io.IOException;
import java.time.Instant;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(
    name = "top",
    description = {
      "Shows the groups live. In a terminal, keys: u usage, g growth, m percent of max,",
      "r refusals, s stall, w waiting, p path; space stops and goes on; q ends."
    })
final class TopCommand extends ConsoleCommand {
  private static final DateTimeFormatter TIME =
      DateTimeFormatter.ofPattern("HH:mm:ss", Locale.ROOT).withZone(ZoneId.systemDefault());
  private static final int NR_HEADER_LINES = 3;
  private static final int GROUP_WIDTH = 40; // without a terminal
  private static final long MIN_INTERVAL_MILLIS = 100;

  @Option(
      names = "--sort",
      paramLabel = "COLUMN",
      defaultValue = "usage",
      description = "${COMPLETION-CANDIDATES}; at first ${DEFAULT-VALUE}.")
  private TopRow.Sort sort = TopRow.Sort.USAGE;

  @Option(
      names = "--interval",
      paramLabel = "SECONDS",
      defaultValue = "1",
      description = "Time between frames; at first ${DEFAULT-VALUE}.")
  private double seconds = 1;

  @Option(
      names = "--count",
      paramLabel = "N",
      description = "Ends after so many frames; 1 if there is no terminal.")
  private @Nullable Long count;

  @Option(
      names = "--rows",
      paramLabel = "N",
      description = "Groups in a frame; what fits, or all if there is no terminal.")
  private @Nullable Integer rows;

  @Parameters(arity = "0..1", paramLabel = "GROUP", defaultValue = "/", description = "The top.")
  private String top = "/";

  private GroupFigures.@Nullable Snapshot before;
  private @Nullable Frame last;
  private String title = "";

  @Override
  public Integer call() throws IOException, InterruptedException {
    if (!(seconds * 1000 >= MIN_INTERVAL_MILLIS) || seconds > 3600) {
      throw CliException.usage("interval out of range: --interval=" + seconds + " legal=0.1..3600");
    }
    if ((count != null && count < 1) || (rows != null && rows < 1)) {
      throw CliException.usage("out of range: --count and --rows are at least 1");
    }
    Connection connection = connect();
    title = Printable.line(connection.console().name()) + " " + connection.console().pid();
    if (Terminal.isPresent() && !main().isJson()) {
      live(connection);
    } else {
      print(connection, count == null ? 1 : count);
    }
    return Main.OK;
  }

  private void live(Connection connection) throws IOException, InterruptedException {
    long nrFramesLeft = count == null ? Long.MAX_VALUE : count;
    boolean isStopped = false;
    try (Terminal terminal = Terminal.open(main().out())) {
      Frame frame = next(connection);
      while (true) {
        terminal.measure();
        terminal.draw(
            frame.screen(
                isStopped ? "stopped" : "",
                terminal.nrColumns(),
                Math.min(
                    terminal.nrRows() - NR_HEADER_LINES, rows == null ? Integer.MAX_VALUE : rows)));
        if (!isStopped && --nrFramesLeft <= 0) {
          return;
        }
        int key = Terminal.key((long) (seconds * 1000));
        TopRow.Sort chosen = TopRow.Sort.ofKey(key);
        if (chosen != null) {
          sort = chosen;
          frame = frame.sortedBy(chosen);
          last = frame;
          nrFramesLeft++;
        } else if (key == 'q' || key == 3 || key == 4) {
          return;
        } else if (key == ' ') {
          isStopped = !isStopped;
        } else if (!isStopped) {
          frame = next(connection);
        }
      }
    }
  }

  private void print(Connection connection, long nrFrames) throws InterruptedException {
    for (long i = 0; i < nrFrames; i++) {
      if (i > 0) {
        Thread.sleep((long) (seconds * 1000));
      }
      Frame frame = next(connection);
      long most = rows == null ? Long.MAX_VALUE : rows;
      if (main().isJson()) {
        frame.rows.stream()
            .limit(most)
            .forEach(row -> main().out().println(Json.write(row.json(frame.timeMillis))));
      } else {
        if (i > 0) {
          main().out().println();
        }
        main().out().println(frame.title());
        main().out().println(TopRow.header(GROUP_WIDTH));
        frame.rows.stream().limit(most).forEach(row -> main().out().println(row.line(GROUP_WIDTH)));
      }
      main().out().flush();
    }
  }

  private Frame next(Connection connection) {
    GroupFigures.Snapshot now = GroupFigures.read(connection);
    if (before != null && last != null && now.timeMillis() <= before.timeMillis()) {
      return last; // the console has not looked again since
    }
    String from = GroupFigures.normal(top);
    Map<String, GroupFigures> known = before == null ? Map.of() : before.byPath();
    double passed = before == null ? 0 : (now.timeMillis() - before.timeMillis()) / 1000.0;
    List<TopRow> found =
        now.groups().stream()
            .filter(group -> group.isAt(from))
            .map(group -> TopRow.of(group, known.get(group.path()), passed))
            .collect(Collectors.toCollection(ArrayList::new));
    if (found.isEmpty()) {
      throw CliException.failed("no such group: path=" + from);
    }
    before = now;
    last = new Frame(title, now.timeMillis(), found, sort).sortedBy(sort);
    return last;
  }

  /** What is shown at once. */
  private record Frame(String name, long timeMillis, List<TopRow> rows, TopRow.Sort sort) {
    Frame sortedBy(TopRow.Sort by) {
      List<TopRow> sorted = new ArrayList<>(rows);
      sorted.sort(by.order);
      return new Frame(name, timeMillis, sorted, by);
    }

    String title() {
      return String.format(
          Locale.ROOT,
          "memcg4j top - %s - %s - %d groups, %d in trouble - by %s",
          TIME.format(Instant.ofEpochMilli(timeMillis)),
          name,
          rows.size(),
          rows.stream().filter(TopRow::isInTrouble).count(),
          sort.name().toLowerCase(Locale.ROOT));
    }

    List<String> screen(String state, int nrColumns, int nrRows) {
      List<String> lines = new ArrayList<>();
      lines.add(Terminal.BOLD + cut(title() + " " + state, nrColumns) + Terminal.PLAIN);
      lines.add(
          cut(
              Arrays.stream(TopRow.Sort.values())
                  .map(by -> by.key + " " + by.name().toLowerCase(Locale.ROOT))
                  .collect(Collectors.joining("  ", "keys: ", "  space stop  q quit")),
              nrColumns));
      int groupWidth = TopRow.groupWidth(nrColumns);
      lines.add(Terminal.REVERSE + TopRow.header(groupWidth) + Terminal.PLAIN);
      rows.stream()
          .limit(Math.max(0, nrRows))
          .forEach(row -> {
            String line = row.line(groupWidth);
            lines.add(row.isInTrouble() ? Terminal.RED + line + Terminal.PLAIN : line);
          });
      return lines;
    }

    private static String cut(String line, int nrColumns) {
      return line.length() <= nrColumns ? line : line.substring(0, nrColumns);
    }
  }
}
