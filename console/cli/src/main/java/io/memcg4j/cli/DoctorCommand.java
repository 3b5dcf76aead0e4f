package io.memcg4j.cli;

import io.memcg4j.console.RunningConsole;
import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine.Command;

@Command(
    name = "doctor",
    description = {
      "Says what is wrong, and what to do: JDK, native access, system, container, running JVMs.",
      "Exits with 1 if something does not work."
    })
final class DoctorCommand extends Subcommand {
  @Override
  public Integer call() {
    List<Finding> findings = new ArrayList<>(SystemChecks.run());
    List<RunningConsole> running = Target.running(main().directory());
    if (running.isEmpty()) {
      findings.add(
          Finding.ok(
              "consoles",
              "no JVM of this user with a console runs (looked in "
                  + main().directory().folder()
                  + ")"));
    }
    for (RunningConsole console : running) {
      findings.addAll(ConsoleChecks.run(console));
    }
    for (Finding finding : findings) {
      main().out().println(main().isJson() ? finding.json() : finding.text());
    }
    boolean failed = findings.stream().anyMatch(f -> f.status() == Finding.Status.FAIL);
    return failed ? Main.FAILED : Main.OK;
  }
}
