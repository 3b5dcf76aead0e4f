package io.memcg4j.console;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.OperatingSystemMXBean;
import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.slab.Kmalloc;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/**
 * The page in a real browser. Prints what each check saw; screenshots are in target/screenshots.
 */
class ConsolePageTest {
  private static final Path SCREENSHOTS = Path.of("target", "screenshots");
  private static final int NR_GROUPS = 10_000;
  private static final int SECONDS = 6;

  private static BrowserTools tools;

  @BeforeAll
  static void findBrowser() throws IOException, InterruptedException {
    tools = BrowserTools.orSkip();
    Files.createDirectories(SCREENSHOTS);
  }

  @Test
  void allViews_showWhatIsThereAndSetWhatIsAsked() throws Exception {
    try (BusyTree tree = new BusyTree();
        Console console =
            Console.builder(tree.kmalloc)
                .leaks(tree.leaks)
                .name("demo-server")
                .unlisted()
                .start()) {
      tree.addHostileNames();
      List<String> lines = new ArrayList<>();
      int status =
          tools.run(
              "page.mjs",
              List.of(console.uri().toString(), console.token(), SCREENSHOTS.toString()),
              line -> {
                System.out.println("page: " + line);
                lines.add(line);
              });
      assertEquals(0, status, () -> String.join("\n", lines));
      assertTrue(lines.stream().filter(line -> line.startsWith("ok ")).count() >= 15, "checks ran");
    }
  }

  @Test
  void aConsoleThatComesBack_isFoundAgain() throws Exception {
    MemCgroup root = MemCgroup.root();
    root.create("acme");
    try (Kmalloc kmalloc = Kmalloc.create(root)) {
      AtomicReference<Console> console =
          new AtomicReference<>(Console.builder(kmalloc).unlisted().start());
      int port = console.get().uri().getPort();
      List<String> lines = new ArrayList<>();
      int status =
          tools.run(
              "reconnect.mjs",
              List.of(console.get().uri().toString(), SCREENSHOTS.toString()),
              line -> {
                System.out.println("reconnect: " + line);
                lines.add(line);
                if (line.equals("close")) {
                  console.get().close();
                } else if (line.equals("start")) {
                  root.create("globex");
                  console.set(Console.builder(kmalloc).port(port).unlisted().start());
                }
              });
      console.get().close();
      assertEquals(0, status, () -> String.join("\n", lines));
    }
  }

  @Test
  void tenThousandGroups_thatAllChange() throws Exception {
    MemCgroup root = MemCgroup.root();
    List<MemCgroup> groups = new ArrayList<>();
    for (int i = 0; i < NR_GROUPS / 100; i++) {
      MemCgroup parent = root.create("service-" + i);
      for (int j = 0; j < 100; j++) {
        groups.add(parent.create("tenant-" + i + "-" + j));
      }
    }
    try (Kmalloc kmalloc = Kmalloc.create(root);
        Console console = Console.builder(kmalloc).unlisted().start()) {
      Churn churn = new Churn(groups);
      long[] begin = new long[4];
      List<String> lines = new ArrayList<>();
      int status =
          tools.run(
              "large.mjs",
              List.of(
                  console.uri().toString(),
                  console.token(),
                  SCREENSHOTS.toString(),
                  Integer.toString(SECONDS)),
              line -> {
                lines.add(line);
                System.out.println("10 000 groups: " + line);
                if (line.equals("begin")) {
                  churn.read(begin);
                } else if (line.equals("end")) {
                  long[] end = churn.read(new long[4]);
                  System.out.printf(
                      Locale.ROOT,
                      "10 000 groups: %% of one core: %.2f the process without the load, %.2f of it"
                          + " the ticks%n",
                      100.0 * (end[0] - begin[0] - (end[1] - begin[1])) / (end[2] - begin[2]),
                      100.0 * (end[3] - begin[3]) / (end[2] - begin[2]));
                }
              });
      churn.stop();
      assertEquals(0, status, () -> String.join("\n", lines));
    }
  }

  /** Changes the usage of every group once a second. */
  private static final class Churn {
    private final List<MemCgroup> groups;
    private final Thread thread;
    private volatile boolean stopped;

    Churn(List<MemCgroup> groups) {
      this.groups = groups;
      this.thread = Thread.ofPlatform().name("churn").start(this::run);
    }

    private void run() {
      for (int round = 0; !stopped; round++) {
        for (int i = 0; i < groups.size(); i++) {
          if (round % 2 == 0) {
            groups.get(i).forceCharge(1 + i % 37);
          } else {
            groups.get(i).unchargeNow(1 + i % 37);
          }
        }
        LockSupport.parkNanos(1_000_000_000);
      }
    }

    /** Time of the process, of this thread, by the clock, and of ticks. */
    long[] read(long[] nanos) {
      OperatingSystemMXBean os =
          (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
      nanos[0] = os.getProcessCpuTime();
      nanos[1] = ManagementFactory.getThreadMXBean().getThreadCpuTime(thread.threadId());
      nanos[2] = System.nanoTime();
      nanos[3] = tickNanos();
      return nanos;
    }

    private static long tickNanos() {
      ThreadMXBean threads = ManagementFactory.getThreadMXBean();
      return Thread.getAllStackTraces().keySet().stream()
          .filter(thread -> thread.getName().equals("memcg4j-console"))
          .mapToLong(thread -> threads.getThreadCpuTime(thread.threadId()))
          .sum();
    }

    void stop() throws InterruptedException {
      stopped = true;
      LockSupport.unpark(thread);
      thread.join();
    }
  }
}
