package io.memcg4j.cli;

import java.util.List;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

@Command(name = "cat", description = "Prints files of groups, such as acme/memory.events.")
final class CatCommand extends ConsoleCommand {
  @Parameters(arity = "1..*", paramLabel = "FILE", description = "A group and a file in it.")
  private List<String> files = List.of();

  @Override
  public Integer call() {
    Connection connection = connect();
    for (String file : files) {
      Connection.Answer answer = connection.get("/groups" + Connection.encode(file));
      if (answer.isJson()) {
        throw CliException.failed(
            "is a group, not a file: path="
                + GroupFigures.normal(file)
                + " files="
                + Json.parseObject(answer.text()).get("files"));
      }
      if (main().isJson()) {
        main().out().println(Json.write(FileText.json(GroupFigures.normal(file), answer.text())));
      } else {
        main().out().print(Printable.text(answer.text()));
      }
    }
    return Main.OK;
  }
}
