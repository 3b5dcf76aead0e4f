package io.memcg4j.cli;

import io.memcg4j.console.RunningConsole;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;

@Command(name = "list", description = "Lists the running JVMs of this user that embed the console.")
final class ListCommand extends Subcommand {
  @Override
  public Integer call() {
    List<RunningConsole> running = Target.running(main().directory());
    if (!main().isJson()) {
      main().out().printf(Locale.ROOT, "%9s  %-28s %s%n", "PID", "CONSOLE", "NAME");
    }
    for (RunningConsole console : running) {
      if (main().isJson()) {
        Map<String, @Nullable Object> line = new LinkedHashMap<>();
        line.put("pid", console.pid());
        line.put("name", console.name());
        line.put("uri", console.uri().toString());
        line.put("started", console.started().toEpochMilli());
        main().out().println(Json.write(line));
      } else {
        main()
            .out()
            .printf(
                Locale.ROOT,
                "%9d  %-28s %s%n",
                console.pid(),
                console.uri(),
                Printable.line(console.name()));
      }
    }
    return Main.OK;
  }
}
