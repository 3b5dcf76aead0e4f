package io.memcg4j.cli;

import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

@Command(
    name = "kmemleak",
    description = {
      "Prints the leaks that are known, or gives kmemleak a command:",
      "scan, scan=on, scan=off, scan=SECONDS, clear, dump=ADDRESS, off."
    })
final class KmemleakCommand extends ConsoleCommand {
  @Parameters(arity = "0..1", paramLabel = "COMMAND", description = "Without: prints the leaks.")
  private @Nullable String command;

  @Override
  public Integer call() {
    String given = command;
    if (given == null) {
      return leaks();
    }
    String answer = connect().put("/kmemleak", given);
    if (main().isJson()) {
      Map<String, @Nullable Object> line = new LinkedHashMap<>();
      line.put("command", given);
      line.put("answer", answer);
      main().out().println(Json.write(line));
    } else {
      main().out().print(Printable.text(answer));
      if (!answer.isEmpty() && !answer.endsWith("\n")) {
        main().out().println();
      }
    }
    return Main.OK;
  }

  private int leaks() {
    if (main().isJson()) {
      // Whether there is a scanner at all shows in the text only.
      Connection connection = connect();
      connection.text("/kmemleak");
      for (Object group : Json.list(connection.json("/kmemleak?format=json").get("groups"))) {
        main().out().println(Json.write(group));
      }
      return Main.OK;
    }
    return Listing.print(main(), connect(), "/kmemleak", "groups");
  }
}
