package io.memcg4j.cli;

import picocli.CommandLine.Command;

@Command(name = "slabinfo", description = "Prints what the caches of the allocator hold.")
final class SlabinfoCommand extends ConsoleCommand {
  @Override
  public Integer call() {
    return Listing.print(main(), connect(), "/slabinfo", "caches");
  }
}
