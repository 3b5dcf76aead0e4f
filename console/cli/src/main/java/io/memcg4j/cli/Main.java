package io.memcg4j.cli;

import io.memcg4j.console.ConsoleDirectory;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IParameterExceptionHandler;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;

/**
 * Entry of the command line. Exit codes: 0 success, 1 an operation that failed, 2 bad arguments.
 * Text is UTF-8, whatever the locale; what others named is printed with its control characters
 * escaped.
 */
@Command(
    name = "memcg4j",
    description = "Looks into and steers running JVMs that embed memcg4j's console.",
    subcommands = {
      TopCommand.class,
      TreeCommand.class,
      CatCommand.class,
      SetCommand.class,
      SlabinfoCommand.class,
      VmallocinfoCommand.class,
      KmemleakCommand.class,
      EventsCommand.class,
      ListCommand.class,
      DoctorCommand.class,
      CompletionCommand.class
    })
public final class Main implements Runnable {
  static final int OK = 0;
  static final int FAILED = 1;
  static final int USAGE = 2;

  @Option(
      names = {"-h", "--help"},
      usageHelp = true,
      scope = ScopeType.INHERIT,
      description = "Shows this text.")
  @SuppressWarnings("unused") // the command line itself acts on it
  private boolean helpAsked;

  @Option(
      names = "--json",
      scope = ScopeType.INHERIT,
      description = "Prints one JSON object a line, and nothing else.")
  private boolean json;

  @Spec private CommandSpec spec = CommandSpec.create();

  private final ConsoleDirectory directory;

  Main(ConsoleDirectory directory) {
    this.directory = directory;
  }

  /**
   * Runs a command and ends the JVM with its exit code.
   *
   * @param args the command, its options and arguments
   */
  public static void main(String[] args) {
    PrintWriter out = new PrintWriter(System.out, false, StandardCharsets.UTF_8);
    PrintWriter err = new PrintWriter(System.err, true, StandardCharsets.UTF_8);
    System.exit(run(out, err, args));
  }

  /**
   * Runs a command in a JVM that goes on afterwards.
   *
   * @param out for results, flushed in the end
   * @param err for what went wrong
   * @param args the command, its options and arguments
   * @return the exit code
   */
  public static int run(PrintWriter out, PrintWriter err, String... args) {
    CommandLine line = line();
    line.setOut(out).setErr(err);
    int exitCode = line.execute(args);
    if (out.checkError() && exitCode == OK) { // which flushes it
      err.println("memcg4j: standard output cannot be written");
      exitCode = FAILED;
    }
    err.flush();
    return exitCode;
  }

  static CommandLine line() {
    CommandLine line = new CommandLine(new Main(ConsoleDirectory.ofThisUser()));
    line.setExecutionExceptionHandler((thrown, at, _) -> {
      if (thrown instanceof CliException e) {
        at.getErr().println("memcg4j: " + Printable.text(String.valueOf(e.getMessage())));
        return e.exitCode();
      }
      thrown.printStackTrace(at.getErr());
      return FAILED;
    });
    line.setParameterExceptionHandler(shortErrors());
    line.setCaseInsensitiveEnumValuesAllowed(true);
    return line;
  }

  /** What is wrong, and where to read more: the whole usage would push it off the screen. */
  private static IParameterExceptionHandler shortErrors() {
    return (e, _) -> {
      CommandLine at = e.getCommandLine();
      String name = at.getCommandSpec().qualifiedName();
      at.getErr().println("memcg4j: " + Printable.text(String.valueOf(e.getMessage())));
      CommandLine.UnmatchedArgumentException.printSuggestions(e, at.getErr());
      at.getErr().println("usage: ./" + name + " --help tells more");
      return USAGE;
    };
  }

  @Override
  public void run() {
    throw new ParameterException(spec.commandLine(), "missing command");
  }

  boolean isJson() {
    return json;
  }

  ConsoleDirectory directory() {
    return directory;
  }

  PrintWriter out() {
    return spec.commandLine().getOut();
  }
}
