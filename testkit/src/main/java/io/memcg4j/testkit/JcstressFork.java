package io.memcg4j.testkit;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.openjdk.jcstress.infra.Status;
import org.openjdk.jcstress.infra.TestInfo;
import org.openjdk.jcstress.infra.collectors.TestResult;
import org.openjdk.jcstress.infra.runners.ForkedTestConfig;
import org.openjdk.jcstress.infra.runners.Runner;
import org.openjdk.jcstress.infra.runners.SpinLoopStyle;

/** The JVM that one jcstress test runs in, in the short form. Started by {@link Jcstress}. */
final class JcstressFork {
  // jcstress's own defaults.
  private static final int STRIDE_SIZE = 256;
  private static final int STRIDE_COUNT = 40;
  private static final int MAX_FOOTPRINT_MB = 64;

  private JcstressFork() {}

  /**
   * Runs the test and writes its result to a file.
   *
   * @param args test name, milliseconds of one iteration, number of iterations, whether to stop at
   *     the first interesting outcome, file for the result
   */
  public static void main(String[] args) throws Exception {
    String test = args[0];
    int iterationMillis = Integer.parseInt(args[1]);
    int nrIterations = Integer.parseInt(args[2]);
    boolean stopAtInteresting = Boolean.parseBoolean(args[3]);
    Path file = Path.of(args[4]);

    TestInfo info = Outcomes.infoOf(test);
    Outcomes outcomes = new Outcomes(test);
    TestResult sum = new TestResult(Status.NORMAL);
    for (int i = 0; i < nrIterations; i++) {
      TestResult one = newRunner(info, iterationMillis).run();
      if (one.status() != Status.NORMAL) {
        sum = one;
        break;
      }
      sum.addState(one.getCounter());
      outcomes.add(one);
      if (stopAtInteresting && outcomes.hasInteresting()) {
        break;
      }
    }
    try (DataOutputStream out = new DataOutputStream(Files.newOutputStream(file))) {
      sum.write(out);
    }
    // A stuck actor must not keep this JVM alive.
    System.exit(0);
  }

  private static Runner<?> newRunner(TestInfo info, int iterationMillis) throws Exception {
    return Class.forName(info.generatedRunner())
        .asSubclass(Runner.class)
        .getConstructor(ForkedTestConfig.class)
        .newInstance(config(info, iterationMillis));
  }

  // The only public way to a configuration without a driver is the form in which the driver sends
  // it to its forks; that form names the style of spinning by its ordinal.
  @SuppressWarnings("EnumOrdinal")
  private static ForkedTestConfig config(TestInfo info, int iterationMillis) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    DataOutputStream out = new DataOutputStream(bytes);
    out.writeInt(SpinLoopStyle.THREAD_SPIN_WAIT.ordinal());
    out.writeInt(iterationMillis);
    out.writeInt(1); // iterations
    out.writeUTF(info.generatedRunner());
    out.writeInt(MAX_FOOTPRINT_MB);
    out.writeInt(STRIDE_SIZE);
    out.writeInt(STRIDE_COUNT);
    out.writeBoolean(false); // no affinity of the threads
    return new ForkedTestConfig(new DataInputStream(new ByteArrayInputStream(bytes.toByteArray())));
  }
}
