package io.memcg4j.benchmarks;

import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IExecutionExceptionHandler;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;

/**
 * Entry of the benchmarks' command line. Exit codes: 0 success, 1 a run that failed or drifted, 2
 * bad arguments or input.
 */
@Command(
    name = "memcg4j",
    description = "Replays and benchmarks of memcg4j.",
    subcommands = {ReplayCommand.class, BenchCommand.class})
public final class Main implements Runnable {
  static final int OK = 0;
  static final int FAILED = 1;
  static final int BAD_INPUT = 2;

  @Option(
      names = {"-h", "--help"},
      usageHelp = true,
      scope = ScopeType.INHERIT,
      description = "Shows this text.")
  @SuppressWarnings("unused") // the command line itself acts on it
  private boolean helpAsked;

  @Spec private CommandSpec spec = CommandSpec.create();

  Main() {}

  /**
   * Runs a command and ends the JVM with its exit code.
   *
   * @param args the command, its options and arguments
   */
  public static void main(String[] args) {
    PrintWriter out = new PrintWriter(System.out, true, StandardCharsets.UTF_8);
    PrintWriter err = new PrintWriter(System.err, true, StandardCharsets.UTF_8);
    System.exit(run(out, err, args));
  }

  /** Runs a command and returns its exit code. */
  static int run(PrintWriter out, PrintWriter err, String... args) {
    CommandLine line = new CommandLine(new Main());
    line.setOut(out).setErr(err).setExecutionExceptionHandler(handler());
    try {
      return line.execute(args);
    } finally {
      out.flush();
      err.flush();
    }
  }

  @Override
  public void run() {
    throw new ParameterException(spec.commandLine(), "missing command");
  }

  /**
   * Bad input is the user's to mend, so it gets one line; anything else is a defect and gets all.
   */
  private static IExecutionExceptionHandler handler() {
    return (thrown, line, parsed) -> {
      if (thrown instanceof TraceException || thrown instanceof UsageError) {
        line.getErr().println(thrown.getMessage());
        return BAD_INPUT;
      }
      if (thrown instanceof FileSystemException) { // its text is often no more than the file
        line.getErr().println(thrown.getClass().getSimpleName() + ": " + thrown.getMessage());
        return BAD_INPUT;
      }
      thrown.printStackTrace(line.getErr());
      return FAILED;
    };
  }
}
