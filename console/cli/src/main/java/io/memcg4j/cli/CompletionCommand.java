package io.memcg4j.cli;

import picocli.AutoComplete;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;

@Command(
    name = "completion",
    description = {
      "Prints a completion script for bash and zsh. For this shell:",
      "source <(./memcg4j completion)"
    })
final class CompletionCommand extends Subcommand {
  @Override
  public Integer call() {
    CommandLine line = Main.line();
    // What the script itself runs, elsewhere.
    add(line, "demo", "--once");
    add(line, "serve", "--port");
    add(line, "app-container", "--once", "--port");
    add(line, "replay", "--max", "--threads");
    add(line, "bench", "--forks", "--case");
    add(line, "test");
    add(line, "proof-table");
    main().out().println(AutoComplete.bash("memcg4j", line));
    return Main.OK;
  }

  private static void add(CommandLine line, String name, String... options) {
    CommandSpec spec = CommandSpec.create();
    for (String option : options) {
      spec.addOption(OptionSpec.builder(option).build());
    }
    line.addSubcommand(name, spec);
  }
}
