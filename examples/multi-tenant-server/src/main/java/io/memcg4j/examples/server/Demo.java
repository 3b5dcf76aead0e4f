package io.memcg4j.examples.server;

import io.memcg4j.console.Console;
import io.memcg4j.leak.Kmemleak;
import io.memcg4j.leak.LeakGroup;
import io.memcg4j.leak.LeakReport;
import io.memcg4j.leak.LeakSuspect;
import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.slab.SlabInfo;
import java.io.IOException;
import java.io.InputStream;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Objects;

/**
 * Four tenants of one server, each with a real client: a steady one, a bursty one, a greedy one
 * that stores more and more, and a leaky one whose code loses memory. First the steady one alone,
 * then all of them. Checks what memcg4j promises.
 */
final class Demo {
  /**
   * How long the phases are.
   *
   * @param warmUp seconds before anything is measured
   * @param alone seconds of the steady tenant alone, before the others come and after they went
   * @param together seconds of all
   */
  record Plan(int warmUp, int alone, int together) {
    static final Plan DEFAULT = new Plan(2, 2, 6);
  }

  private static final String WARM_UP = "warm-up";
  private static final String WARM_UP_TENANT = "[" + WARM_UP + "]\nmax = 48m\n";
  private static final String ALONE = "alone";
  private static final String UNCOUNTED = "between";
  private static final String TOGETHER = "together";
  private static final String FILE = "demo-tenants.ini";
  private static final double P99_AIM = 1.2;
  private static final int NR_FRAMES = 3;
  private static final Duration MIN_AGE = Duration.ofMillis(500);
  private static final int MAX_SCANS = 4;
  private static final int MAX_MORE_SECONDS = 20;

  private final DemoOutput out;
  private final Plan plan;
  private final AuditTrail auditTrail = new AuditTrail();
  private final List<DemoTenant> tenants = new ArrayList<>();
  private final List<String> broken = new ArrayList<>();
  private int second;

  Demo(DemoOutput out, Plan plan) {
    this.out = out;
    this.plan = plan;
  }

  /**
   * Runs it.
   *
   * @param once false to go on, with everybody at work, until the thread is interrupted
   * @return the promises that were broken
   */
  List<String> run(boolean once)
      throws IOException, TenantsFile.SyntaxException, InterruptedException {
    Path folder = Files.createTempDirectory("memcg4j-demo");
    Path file = folder.resolve("tenants.ini");
    String text;
    try (InputStream in = Objects.requireNonNull(Demo.class.getResourceAsStream(FILE), FILE)) {
      text = new String(in.readAllBytes(), StandardCharsets.UTF_8);
    }
    folder.toFile().deleteOnExit(); // in reverse order; Ctrl-C is the usual end
    file.toFile().deleteOnExit();
    Files.writeString(file, text + WARM_UP_TENANT);
    ServerSettings settings = ServerSettings.DEFAULT.withPlugin("leaky", auditTrail);
    Application application = Application.start(file, settings, change -> out.say("file", change));
    try {
      drive(application, file, text, once);
    } finally {
      tenants.forEach(tenant -> tenant.load().close());
    }
    return broken;
  }

  private void drive(Application application, Path file, String text, boolean once)
      throws IOException, InterruptedException {
    long upMillis =
        System.currentTimeMillis() - ManagementFactory.getRuntimeMXBean().getStartTime();
    out.say(
        "up",
        String.format(
            Locale.ROOT,
            "server is up %d ms after the JVM's start: http://127.0.0.1:%d/v1   tenants: %s",
            upMillis,
            application.port(),
            file));
    Kmemleak kmemleak = Kmemleak.builder(application.kmalloc()).minAge(MIN_AGE).build();
    LeakReport leaks;
    try (Console console = ConsoleStart.open("memcg4j demo", application.kmalloc(), kmemleak)) {
      // Through --json it may end up in a log: without the token there.
      out.say("console", "console: " + (once ? console.uri() : console.page()));
      warmUp(application);
      Path next = file.resolveSibling("tenants.ini.new"); // replaced, so that nobody reads a half
      Files.writeString(next, text);
      Files.move(next, file, StandardCopyOption.ATOMIC_MOVE);
      leaks = measure(application, kmemleak);
      if (!once) {
        goOn(application, file);
      }
    }
    if (once) {
      checkDrift(application, leaks);
      out.say("end", broken.isEmpty() ? "all promises kept" : "promises broken: " + broken.size());
    }
  }

  private void goOn(Application application, Path file) throws InterruptedException {
    out.say(
        "end",
        String.format(
            Locale.ROOT,
            "everybody goes on: try  curl -s http://127.0.0.1:%d/v1/greedy  or edit %s"
                + "  (Ctrl-C ends)",
            application.port(),
            file));
    tenants.forEach(tenant -> tenant.load().start(true));
    Thread.currentThread().join(); // until somebody interrupts or ends the JVM
  }

  private LeakReport measure(Application application, Kmemleak kmemleak)
      throws InterruptedException {
    // The call site of every object, for the leak scan: some microseconds, in all phases alike.
    application.kmalloc().profile().exact();
    DemoTenant steady = tenant("steady");
    steady.load().start(true);
    steps(ALONE, plan.alone());

    final List<DemoTenant> others = tenants.subList(1, tenants.size());
    final DemoTenant greedy = tenant("greedy");
    others.forEach(tenant -> tenant.load().start(true));
    steps(TOGETHER, plan.together());
    for (int i = 0; i < MAX_MORE_SECONDS && greedy.client().nrRefused() == 0; i++) {
      steps(TOGETHER, 1); // on a slow machine it takes longer to fill
    }
    for (DemoTenant tenant : others) {
      tenant.load().stop();
    }
    tenants.forEach(tenant -> tenant.look(second, UNCOUNTED));
    // Once more, as by now the JVM is warmer than it was the first time.
    steps(ALONE, plan.alone());
    steady.load().stop();
    LeakReport leaks = scan(kmemleak);
    table(leaks);
    out.ratio(
        new DemoOutput.Ratio(
            steady.p99Micros(TOGETHER),
            steady.p99Micros(ALONE),
            steady.medianP99Micros(TOGETHER),
            steady.medianP99Micros(ALONE),
            P99_AIM));
    checkLimits(greedy);
    checkLeaks(leaks);
    return leaks;
  }

  /** What all clients do, at once and unpaced, at the expense of a tenant that is removed then. */
  private void warmUp(Application application) throws InterruptedException {
    int port = application.port();
    List<Load> loads =
        List.of(Load.steady(port, WARM_UP), Load.bursty(port, WARM_UP), Load.greedy(port, WARM_UP));
    for (String name : List.of("steady", "bursty", "greedy", "leaky")) {
      tenants.add(new DemoTenant(load(port, name), find(application, name)));
    }
    DemoTenant warming = new DemoTenant(loads.getFirst(), find(application, WARM_UP));
    try {
      loads.forEach(load -> load.start(false));
      for (int i = 0; i < plan.warmUp(); i++) {
        Thread.sleep(1000);
        second++;
        out.tick(warming.look(second, WARM_UP));
      }
      for (Load load : loads) {
        load.stop();
      }
    } finally {
      loads.forEach(Load::close);
    }
  }

  private static Tenant find(Application application, String name) {
    return Objects.requireNonNull(application.tenants().find(name), name);
  }

  private static Load load(int port, String name) {
    return switch (name) {
      case "steady" -> Load.steady(port, name);
      case "bursty" -> Load.bursty(port, name);
      case "greedy" -> Load.greedy(port, name);
      default -> Load.leaky(port, name);
    };
  }

  private DemoTenant tenant(String name) {
    return tenants.stream()
        .filter(tenant -> tenant.client().tenant().equals(name))
        .findFirst()
        .orElseThrow();
  }

  private void steps(String phase, int nrSeconds) throws InterruptedException {
    for (int i = 0; i < nrSeconds; i++) {
      Thread.sleep(1000);
      second++;
      for (DemoTenant tenant : tenants) {
        DemoOutput.Tick tick = tenant.look(second, phase);
        if (tick.requests() > 0 || phase.equals(TOGETHER)) {
          out.tick(tick);
        }
      }
    }
  }

  // ---- leaks

  /** Nothing is at work now, so what nobody points to in two scans is lost. */
  private LeakReport scan(Kmemleak kmemleak) throws InterruptedException {
    LeakReport report = kmemleak.scan();
    for (int i = 1; i < MAX_SCANS; i++) {
      Thread.sleep(MIN_AGE.toMillis() + 100);
      report = kmemleak.scan();
      if (report.suspects().size() >= auditTrail.nrLost()) {
        break; // a word that looked like an address may have changed since the last scan
      }
    }
    return report;
  }

  private void table(LeakReport leaks) {
    List<DemoOutput.Row> rows = new ArrayList<>();
    for (DemoTenant tenant : tenants) {
      List<LeakSuspect> mine =
          leaks.suspects().stream()
              .filter(suspect -> suspect.cgroup().equals(tenant.group().path()))
              .toList();
      rows.add(
          tenant.row(TOGETHER, mine.size(), mine.stream().mapToLong(LeakSuspect::nrBytes).sum()));
    }
    out.table(rows);
    for (LeakGroup group : leaks.groups()) {
      if (!group.first().frames().isEmpty()) {
        out.leak(
            group.first().cgroup(),
            group.suspects().size(),
            group.nrBytes(),
            group.first().frames().stream()
                .limit(NR_FRAMES)
                .map(StackTraceElement::toString)
                .toList());
      }
    }
  }

  // ---- promises

  private void checkLimits(DemoTenant greedy) {
    for (DemoTenant tenant : tenants) {
      MemCgroup group = tenant.group();
      promise(
          group.path() + " was never over its max",
          group.peak() <= group.max(),
          "peak " + ByteSize.mib(group.peak()) + " of " + ByteSize.mib(group.max()) + " MiB");
      if (tenant != greedy) {
        promise(
            group.path() + " was never refused",
            tenant.client().nrRefused() == 0,
            tenant.client().nrRefused() + " of " + tenant.client().nrRequests());
      }
      promise(
          group.path() + " had no failed request",
          tenant.client().nrFailed() == 0,
          tenant.client().nrFailed()
              + (tenant.client().firstFailure() == null
                  ? ""
                  : ", first: " + tenant.client().firstFailure()));
    }
    String refusal = String.valueOf(greedy.client().lastRefusal());
    promise(
        "who is refused is told by which group and with which figures",
        refusal.contains("\"limitedBy\":\"/tenants/greedy\"") && refusal.contains("\"maxBytes\":"),
        refusal);
  }

  private void checkLeaks(LeakReport leaks) {
    long ofLeaky =
        leaks.suspects().stream()
            .filter(suspect -> suspect.cgroup().equals("/tenants/leaky"))
            .count();
    promise(
        "every lost block was found",
        ofLeaky == auditTrail.nrLost(),
        ofLeaky + " found, " + auditTrail.nrLost() + " lost");
    promise(
        "nothing else was called a leak",
        leaks.suspects().size() == ofLeaky,
        leaks.suspects().size() - ofLeaky + " others");
    promise(
        "the call site of the leak was found",
        leaks.groups().stream()
            .flatMap(group -> group.first().frames().stream())
            .anyMatch(frame -> frame.getClassName().equals(AuditTrail.class.getName())),
        AuditTrail.class.getSimpleName());
  }

  /** Frees everything, what was found by the scan too, and looks whether nothing is left. */
  private void checkDrift(Application application, LeakReport leaks) {
    MemCgroup group = application.tenants().group();
    application.stop();
    auditTrail.close();
    leaks.suspects().forEach(suspect -> application.kmalloc().free(suspect.address()));
    group.drain();
    SlabInfo info = application.kmalloc().info();
    promise(
        "all is given back: no drift",
        group.usage() == 0 && info.nrObjects() == 0,
        "usage " + group.usage() + ", objects " + info.nrObjects());
    if (info.nrObjects() == 0) {
      application.kmalloc().close();
    }
  }

  private void promise(String promise, boolean kept, String figures) {
    out.promise(promise, kept, figures);
    if (!kept) {
      broken.add(promise + " (" + figures + ")");
    }
  }
}
