package io.memcg4j.testkit;

import static org.junit.jupiter.api.Assertions.fail;

import java.io.DataInputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.openjdk.jcstress.infra.Status;
import org.openjdk.jcstress.infra.collectors.DiskReadCollector;
import org.openjdk.jcstress.infra.collectors.TestResult;

/**
 * Runs one jcstress test from a JUnit test, in JVMs of its own.
 *
 * <p>An ordering claim is shown by a pair: the real code, which must hold ({@link #assertHolds}),
 * and a broken twin, which must fail ({@link #assertBreaks}), since a test that cannot fail shows
 * nothing. Both are nested classes, annotated with {@code @JCStressTest}, of a class whose name
 * ends in {@code Stress}.
 *
 * <p>The system property {@code memcg4j.jcstress} chooses how hard the real code is tried: {@code
 * short} (the default) runs it for about a second in each of two JVMs; {@code long} for 10 s in
 * each of four; {@code full} gives it to jcstress's own driver with its default preset, which is
 * minutes for each test. A broken twin runs until its bug is seen: most often well below a second,
 * and at the very most {@value #SHORT_TWIN_SECONDS} s (short) or {@value #LONG_TWIN_SECONDS} s.
 *
 * <p>{@code memcg4j.headers} chooses the layout of objects in the JVMs that are tried: {@code
 * compact} or {@code classic}, else that of the JVM's default.
 *
 * <p>Everything that jcstress writes goes to {@code target/jcstress} below the current folder, and
 * what came of each test to {@code target/proof}, a row of a table each.
 */
public final class Jcstress {
  /*
   * Two ways to the same generated test. jcstress's driver spends about seven seconds probing the
   * machine before its first sample: well spent in a long run, too much for every build. The short
   * form therefore runs the generated Runner in a JVM that it starts itself (JcstressFork), with
   * the flags that the driver would have found.
   */

  static final int SHORT_TWIN_SECONDS = 180;
  static final int LONG_TWIN_SECONDS = 600;

  // A fork that says nothing for this long past its own time hangs: jcstress itself gives up after
  // 30 s and reports which thread is stuck. Beside other work it takes minutes to make the states
  // of some tests, which are trees.
  private static final int FORK_GRACE_SECONDS = 300;

  // What the driver passes to each of its forks, with twice its heap: the states of our tests are
  // whole trees, and 10 000 of them are alive at a time. Padding of the shared results needs
  // RestrictContended off; without it the test threads disturb each other and see less.
  private static final List<String> FORK_FLAGS =
      List.of(
          "--enable-native-access=ALL-UNNAMED",
          "--sun-misc-unsafe-memory-access=allow",
          "-XX:+UnlockDiagnosticVMOptions",
          "-XX:-UsePerfData",
          "-Xms512M",
          "-Xmx512M",
          "-XX:ParallelGCThreads=2",
          "-XX:ConcGCThreads=2",
          "-XX:-RestrictContended",
          "-XX:CompileCommand=quiet",
          "-XX:CompileCommand=dontinline,*.jcstress_stride_*");

  private Jcstress() {}

  /**
   * Passes if every outcome that is observed is allowed.
   *
   * @param test a class annotated with {@code @JCStressTest}
   * @throws AssertionError if an outcome is forbidden or in no list, if an actor threw, or if
   *     nothing was observed
   */
  public static void assertHolds(Class<?> test) {
    Outcomes sum = new Outcomes(test);
    ProofRow.forget(test, Headers.chosen());
    Effort effort = Effort.chosen();
    List<Sample> samples =
        effort == Effort.FULL ? runDriver(test) : runForks(test, Goal.HOLDS, effort);
    for (Sample sample : samples) {
      if (sample.result().status() != Status.NORMAL) {
        fail("jcstress test did not run: " + sample.describe(test));
      }
      sum.add(sample.result());
    }
    if (sum.nrSamples() == 0) {
      fail("jcstress test observed nothing: test=" + test.getName());
    }
    if (sum.hasForbidden()) {
      fail("jcstress test saw a forbidden outcome: " + sum + describeForbidden(test, samples));
    }
    System.err.println("jcstress holds: " + sum);
    ProofRow.write(test, "holds", sum, effort, Headers.chosen());
  }

  /**
   * Passes if the bug of a broken twin is observed: an outcome that the twin marks as {@code
   * ACCEPTABLE_INTERESTING}. Anything else that is not allowed fails, so that the twin is known to
   * show this bug and not another one.
   *
   * @param brokenTwin a class annotated with {@code @JCStressTest}
   * @throws AssertionError if the bug was not seen within the time, or something else went wrong
   */
  public static void assertBreaks(Class<?> brokenTwin) {
    assertBreaks(
        brokenTwin, Effort.chosen() == Effort.SHORT ? SHORT_TWIN_SECONDS : LONG_TWIN_SECONDS);
  }

  static void assertBreaks(Class<?> brokenTwin, int timeoutSeconds) {
    long deadlineNanos = System.nanoTime() + TimeUnit.SECONDS.toNanos(timeoutSeconds);
    Outcomes sum = new Outcomes(brokenTwin);
    ProofRow.forget(brokenTwin, Headers.chosen());
    int rounds = 0;
    do {
      for (Sample sample : runForks(brokenTwin, Goal.BREAKS, Effort.SHORT)) {
        if (sample.result().status() != Status.NORMAL) {
          fail("jcstress broken twin did not run: " + sample.describe(brokenTwin));
        }
        sum.add(sample.result());
      }
      rounds++;
    } while (!sum.hasInteresting() && !sum.hasForbidden() && System.nanoTime() - deadlineNanos < 0);
    if (sum.hasForbidden()) {
      fail("jcstress broken twin failed in another way than expected: " + sum);
    }
    if (!sum.hasInteresting()) {
      fail(
          "jcstress broken twin showed no bug, so its test proves nothing: rounds="
              + rounds
              + " "
              + sum);
    }
    System.err.println("jcstress breaks, as it must: " + sum);
    ProofRow.write(brokenTwin, "breaks", sum, Effort.chosen(), Headers.chosen());
  }

  // The optimizing compiler alone, told to schedule at random.
  private static final List<String> RANDOM_SCHEDULE =
      List.of(
          "-XX:-TieredCompilation",
          "-XX:+StressLCM",
          "-XX:+StressGCM",
          "-XX:+StressIGVN",
          "-XX:+StressCCP",
          "-XX:StressSeed=SEED");

  private static final List<String> FIRST_COMPILER_ONLY = List.of("-XX:TieredStopAtLevel=1");
  private static final List<String> LAST_COMPILER_ONLY = List.of("-XX:-TieredCompilation");

  /** What forks are to show. */
  private enum Goal {
    HOLDS,
    BREAKS;

    /** The JVMs to try, in order: the flags of each. */
    List<List<String>> jvms(Effort effort) {
      if (this == BREAKS) {
        return List.of(LAST_COMPILER_ONLY, RANDOM_SCHEDULE, FIRST_COMPILER_ONLY, List.of());
      }
      return effort == Effort.SHORT
          ? List.of(RANDOM_SCHEDULE, List.of())
          : List.of(RANDOM_SCHEDULE, List.of(), LAST_COMPILER_ONLY, FIRST_COMPILER_ONLY);
    }
  }

  /** What one JVM observed, and how it was started. */
  private record Sample(TestResult result, List<String> flags, String output) {
    String describe(Class<?> test) {
      return "test=%s status=%s jvmFlags=%s%n%s%n%s"
          .formatted(
              test.getName(),
              result.status(),
              flags,
              String.join(System.lineSeparator(), result.getMessages()),
              output);
    }
  }

  private static String describeForbidden(Class<?> test, List<Sample> samples) {
    StringBuilder text = new StringBuilder();
    for (Sample sample : samples) {
      Outcomes one = new Outcomes(test);
      one.add(sample.result());
      if (one.hasForbidden()) {
        text.append(System.lineSeparator()).append("  seen with jvmFlags=").append(sample.flags());
      }
    }
    return text.toString();
  }

  private static List<Sample> runForks(Class<?> test, Goal goal, Effort effort) {
    List<Sample> samples = new ArrayList<>();
    for (List<String> flags : goal.jvms(effort)) {
      Sample sample = runFork(test, goal, effort, flags);
      samples.add(sample);
      if (sample.result().status() != Status.NORMAL) {
        break;
      }
      Outcomes outcomes = new Outcomes(test);
      outcomes.add(sample.result());
      if (outcomes.hasForbidden() || (goal == Goal.BREAKS && outcomes.hasInteresting())) {
        break;
      }
    }
    return samples;
  }

  private static Sample runFork(Class<?> test, Goal goal, Effort effort, List<String> goalFlags) {
    Path folder = freshFolder(test);
    Path result = folder.resolve("result");
    String seed = Integer.toString(ThreadLocalRandom.current().nextInt(Integer.MAX_VALUE));
    List<String> flags = goalFlags.stream().map(flag -> flag.replace("SEED", seed)).toList();
    List<String> command = javaCommand(flags);
    command.add(JcstressFork.class.getName());
    command.add(Outcomes.nameOf(test));
    command.add(Integer.toString(effort.iterationMillis));
    command.add(Integer.toString(effort.nrIterations));
    command.add(Boolean.toString(goal == Goal.BREAKS));
    command.add(result.toString());
    String output =
        run(
            command,
            folder,
            FORK_GRACE_SECONDS
                + TimeUnit.MILLISECONDS.toSeconds(
                    (long) effort.iterationMillis * effort.nrIterations));
    if (!Files.exists(result)) {
      TestResult none = new TestResult(Status.VM_ERROR);
      return new Sample(none, flags, output);
    }
    try (DataInputStream in = new DataInputStream(Files.newInputStream(result))) {
      return new Sample(new TestResult(in), flags, output);
    } catch (IOException e) {
      throw new UncheckedIOException("unreadable jcstress result: file=" + result, e);
    }
  }

  private static List<Sample> runDriver(Class<?> test) {
    Path folder = freshFolder(test);
    List<String> command = javaCommand(List.of());
    command.addAll(
        List.of(
            "org.openjdk.jcstress.Main",
            "-m",
            "default",
            "-t",
            "^" + Pattern.quote(Outcomes.nameOf(test)) + "$",
            "-r",
            folder.resolve("report").toString()));
    if (!Headers.chosen().flags().isEmpty()) {
      command.addAll(List.of("--jvmArgsPrepend", String.join(" ", Headers.chosen().flags())));
    }
    String output = run(command, folder, TimeUnit.HOURS.toSeconds(4));
    List<Sample> samples = new ArrayList<>();
    try (Stream<Path> files = Files.list(folder)) {
      for (Path file : files.filter(f -> f.toString().endsWith(".bin.gz")).toList()) {
        DiskReadCollector reader =
            new DiskReadCollector(
                file.toString(),
                result -> samples.add(new Sample(result, result.getConfig().jvmArgs, output)));
        reader.dump();
        reader.close();
      }
    } catch (IOException e) {
      throw new UncheckedIOException("unreadable jcstress result: folder=" + folder, e);
    } catch (ClassNotFoundException e) {
      throw new IllegalStateException("unreadable jcstress result: folder=" + folder, e);
    }
    if (samples.isEmpty()) {
      fail("jcstress wrote no result: test=%s%n%s".formatted(test.getName(), output));
    }
    return samples;
  }

  private static List<String> javaCommand(List<String> flags) {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(FORK_FLAGS);
    command.addAll(Headers.chosen().flags());
    command.addAll(flags);
    command.add("-cp");
    command.add(System.getProperty("java.class.path"));
    return command;
  }

  private static String run(List<String> command, Path folder, long timeoutSeconds) {
    Path log = folder.resolve("output.txt");
    try {
      Process process =
          new ProcessBuilder(command)
              .directory(folder.toFile())
              .redirectErrorStream(true)
              .redirectOutput(log.toFile())
              .start();
      try {
        if (!process.waitFor(timeoutSeconds, TimeUnit.SECONDS)) {
          fail("jcstress hangs: timeoutSeconds=" + timeoutSeconds + " log=" + log);
        }
      } finally {
        process.descendants().forEach(ProcessHandle::destroyForcibly);
        process.destroyForcibly();
      }
      return Files.readString(log);
    } catch (IOException e) {
      throw new UncheckedIOException("cannot run jcstress: folder=" + folder, e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted while jcstress ran: folder=" + folder, e);
    }
  }

  private static Path freshFolder(Class<?> test) {
    Path folder = Path.of("target", "jcstress", Outcomes.nameOf(test)).toAbsolutePath();
    try {
      if (Files.exists(folder)) {
        try (Stream<Path> old = Files.walk(folder)) {
          for (Path path : old.sorted(Comparator.reverseOrder()).toList()) {
            Files.delete(path);
          }
        }
      }
      return Files.createDirectories(folder);
    } catch (IOException e) {
      throw new UncheckedIOException("cannot make a folder for jcstress: folder=" + folder, e);
    }
  }
}
