package io.memcg4j.cli;

import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(
    name = "set",
    description = "Writes a file of a group, such as acme/memory.max 64M, and prints it.")
final class SetCommand extends ConsoleCommand {
  @Option(names = "--no-block", description = "A lower limit does not reclaim.")
  private boolean noBlock;

  @Parameters(index = "0", paramLabel = "FILE", description = "A group and a file in it.")
  private String file = "";

  @Parameters(
      index = "1",
      paramLabel = "VALUE",
      description = "As cgroup v2 takes it: bytes, 64M, max.")
  private String value = "";

  @Override
  public Integer call() {
    String resource = "/groups" + Connection.encode(file) + (noBlock ? "?noblock" : "");
    String text = connect().put(resource, value);
    if (main().isJson()) {
      main().out().println(Json.write(FileText.json(GroupFigures.normal(file), text)));
    } else {
      main().out().print(Printable.text(text));
    }
    return Main.OK;
  }
}
