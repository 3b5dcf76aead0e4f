package io.memcg4j.cli;

import picocli.CommandLine.Command;

@Command(name = "vmallocinfo", description = "Prints the areas of vmalloc.")
final class VmallocinfoCommand extends ConsoleCommand {
  @Override
  public Integer call() {
    return Listing.print(main(), connect(), "/vmallocinfo", "areas");
  }
}
