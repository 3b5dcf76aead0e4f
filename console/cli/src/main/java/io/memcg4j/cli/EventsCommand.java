package io.memcg4j.cli;

import java.time.Instant;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

@Command(
    name = "events",
    description = "Prints which groups met limits so far; with --follow what happens from now on.")
final class EventsCommand extends ConsoleCommand {
  private static final DateTimeFormatter TIME =
      DateTimeFormatter.ofPattern("HH:mm:ss.SSS", Locale.ROOT).withZone(ZoneId.systemDefault());
  private static final List<String> COUNTS =
      List.of("eventsLow", "eventsHigh", "eventsMax", "eventsOom", "eventsOomKill");

  @Option(
      names = {"-f", "--follow"},
      description = "Goes on until it is stopped.")
  private boolean follow;

  @Option(
      names = "--count",
      paramLabel = "N",
      defaultValue = "9223372036854775807",
      description = "With --follow: ends after so many.")
  private long count;

  @Override
  public Integer call() {
    Connection connection = connect();
    if (follow) {
      connection.stream(
          "/events",
          event -> {
            print(event);
            main().out().flush();
            return !main().out().checkError() && --count > 0;
          });
    } else {
      printCounts(GroupFigures.read(connection));
    }
    return Main.OK;
  }

  private void printCounts(GroupFigures.Snapshot snapshot) {
    if (!main().isJson()) {
      main()
          .out()
          .printf(
              Locale.ROOT,
              "%-40s %8s %8s %8s %8s %8s%n",
              "GROUP",
              "LOW",
              "HIGH",
              "MAX",
              "OOM",
              "OOM_KILL");
    }
    for (GroupFigures group : snapshot.groups()) {
      if (main().isJson()) {
        Map<String, @Nullable Object> line = new LinkedHashMap<>();
        line.put("path", group.path());
        COUNTS.forEach(name -> line.put(name, group.get(name)));
        main().out().println(Json.write(line));
      } else if (COUNTS.stream().anyMatch(name -> group.get(name) != 0)) {
        main().out().printf(Locale.ROOT, "%-40s", Printable.line(group.path()));
        COUNTS.forEach(name -> main().out().printf(Locale.ROOT, " %8d", group.get(name)));
        main().out().println();
      }
    }
  }

  private void print(Connection.StreamEvent event) {
    Map<String, @Nullable Object> data = Json.parseObject(event.data());
    if (main().isJson()) {
      Map<String, @Nullable Object> line = new LinkedHashMap<>();
      line.put("event", event.type());
      line.putAll(data);
      main().out().println(Json.write(line));
      return;
    }
    String time =
        data.get("t") instanceof Long millis ? TIME.format(Instant.ofEpochMilli(millis)) : "";
    String group = Printable.line(String.valueOf(data.getOrDefault("group", "")));
    main().out().println((time + " " + group + " " + what(event.type(), data)).strip());
  }

  private static String what(String type, Map<String, @Nullable Object> data) {
    return switch (type) {
      case "events" -> {
        StringBuilder text = new StringBuilder();
        Map<String, @Nullable Object> before = Json.object(data.get("before"));
        Json.object(data.get("local"))
            .forEach((name, now) -> {
              long more = number(now) - number(before.get(name));
              if (more != 0) {
                text.append(name).append(" +").append(more).append(' ');
              }
            });
        yield text
            + "(usage "
            + Sizes.human(number(data.get("usage")))
            + " of "
            + Sizes.limit(number(data.get("max")))
            + ")";
      }
      case "pressure" -> {
        Object some = Json.object(data.get("pressure")).get("some");
        yield "stalled avg10=" + Json.object(some).get("avg10") + "%";
      }
      case "lost" -> "lost " + data.get("lost") + " events: more than could be sent";
      default -> Printable.line(type + " " + Json.write(data));
    };
  }

  private static long number(@Nullable Object value) {
    return value instanceof Number number ? number.longValue() : 0;
  }
}
