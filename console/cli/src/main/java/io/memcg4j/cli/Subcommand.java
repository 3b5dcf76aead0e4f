package io.memcg4j.cli;

import java.util.concurrent.Callable;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** A command below {@link Main}, whose options it shares. */
abstract class Subcommand implements Callable<Integer> {
  @Spec private CommandSpec spec = CommandSpec.create();

  final Main main() {
    return (Main) spec.root().userObject();
  }
}
