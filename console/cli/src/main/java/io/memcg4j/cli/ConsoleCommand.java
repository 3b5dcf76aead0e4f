package io.memcg4j.cli;

import picocli.CommandLine.Mixin;

/** A command for one running console. */
abstract class ConsoleCommand extends Subcommand {
  @Mixin private Target target = new Target();

  /** The console that is meant; an error if it is not clear which. */
  final Connection connect() {
    return target.connect(main().directory());
  }
}
