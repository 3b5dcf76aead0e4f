package io.memcg4j.percpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.Charset;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;

class CurrentCpuTest {
  private static final Path STAT = Path.of("/proc/thread-self/stat");

  /** Fields after the name in brackets, of which "processor" is the 37th. */
  private static final int PROCESSOR = 36;

  private static final int NR_TRIES = 2_000;

  private static int processorInStat() throws IOException {
    String stat = Files.readString(STAT);
    return Integer.parseInt(stat.substring(stat.lastIndexOf(')') + 2).split(" ", -1)[PROCESSOR]);
  }

  /** The thread may be moved in between; then the kernel's two answers differ, mostly. */
  @Test
  @EnabledOnOs(OS.LINUX)
  void number_busyThreads_isWhatTheKernelSays() throws Exception {
    AtomicInteger nrCompared = new AtomicInteger();
    AtomicInteger nrDifferent = new AtomicInteger();
    Threads.run(
        Threads.Kind.PLATFORM,
        2 * Runtime.getRuntime().availableProcessors(),
        thread -> {
          for (int i = 0; i < NR_TRIES; i++) {
            int before = processorInStat();
            int number = CurrentCpu.number();
            if (processorInStat() == before) {
              nrCompared.incrementAndGet();
              if (number != before) {
                nrDifferent.incrementAndGet();
              }
            }
          }
        });
    assertTrue(nrCompared.get() > NR_TRIES, "compared " + nrCompared);
    assertTrue(
        nrDifferent.get() * 20 < nrCompared.get(), nrDifferent + " differ, of " + nrCompared);
  }

  @Test
  void number_nativeAccessNotEnabled_isUnknownWithoutAWarning() throws Exception {
    assertEquals(String.valueOf(CurrentCpu.UNKNOWN), numberInJvm());
  }

  @Test
  @EnabledOnOs(OS.LINUX)
  void number_nativeAccessEnabled_isKnown() throws Exception {
    assertTrue(Integer.parseInt(numberInJvm("--enable-native-access=ALL-UNNAMED")) >= 0);
  }

  private static String numberInJvm(String... options) throws Exception {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(List.of(options));
    command.addAll(
        List.of("-cp", System.getProperty("java.class.path"), CurrentCpuTest.class.getName()));
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes(), Charset.defaultCharset());
    assertEquals(0, process.waitFor(), output);
    return output.strip();
  }

  /** Prints the number. */
  public static void main(String[] args) {
    System.out.println(CurrentCpu.number());
  }
}
