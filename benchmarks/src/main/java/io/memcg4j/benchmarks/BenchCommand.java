package io.memcg4j.benchmarks;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/**
 * {@code bench NAME}: the benchmarks by name. Each is a command of its own with its own options; a
 * new one is added to the list of subcommands.
 */
@Command(
    name = "bench",
    description = "Runs a benchmark.",
    subcommands = {
      ArenaBench.class,
      GrowthBench.class,
      KmallocBench.class,
      LeakBench.class,
      PageCommand.class,
      PeersBench.class,
      PercpuBench.class,
      SeedsBench.class,
      TenantsBench.class,
      ThreadsBench.class,
      TreeBench.class,
      VmallocBench.class
    })
final class BenchCommand implements Callable<Integer> {
  @Spec private CommandSpec spec = CommandSpec.create();

  /** That of the benchmarks, so that a wrong name is what is complained about. */
  @SuppressWarnings("UnusedVariable")
  @Option(names = "--json", hidden = true)
  private boolean json;

  @Parameters(hidden = true, arity = "0..*")
  private List<String> unmatched = new ArrayList<>();

  /** Reached only when no benchmark's name was matched. */
  @Override
  public Integer call() {
    String known = String.join(",", spec.subcommands().keySet());
    if (unmatched.isEmpty()) {
      throw new UsageError("missing benchmark: known=" + known);
    }
    throw new UsageError("unknown benchmark: name=" + unmatched.getFirst() + " known=" + known);
  }
}
