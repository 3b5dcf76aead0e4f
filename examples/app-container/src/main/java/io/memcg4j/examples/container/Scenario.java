package io.memcg4j.examples.container;

import io.memcg4j.leak.LeakGroup;
import io.memcg4j.leak.LeakReport;
import io.memcg4j.leak.LeakSuspect;
import java.io.PrintStream;
import java.lang.ref.WeakReference;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;

/**
 * What {@code --once} does: three applications are used over HTTP, one of them too much; another
 * one is undeployed while it has memory, which is then found and freed. Checks what memcg4j
 * promises.
 */
final class Scenario {
  private static final int NR_NOTES = 500;
  private static final int NOTE_BYTES = 2000;
  private static final int NR_REPORTS = 40;
  private static final int PAGES_PER_REPORT = 16;
  private static final int MAX_SCANS = 4;
  private static final int MAX_SECONDS = 60;
  private static final double MIB = 1 << 20;

  private final AppContainer container;
  private final PrintStream out;
  private final HttpClient client = HttpClient.newHttpClient();
  private final Map<Application, Traffic> traffic = new LinkedHashMap<>();
  private final List<String> broken = new ArrayList<>();

  Scenario(AppContainer container, PrintStream out) {
    this.container = container;
    this.out = out;
  }

  /**
   * Runs.
   *
   * @param nrSeconds of traffic before the application is undeployed, at least
   */
  void run(int nrSeconds) throws Exception {
    Application notes = Objects.requireNonNull(container.find("notes"));
    Application gallery = Objects.requireNonNull(container.find("gallery"));
    Application reports = Objects.requireNonNull(container.find("reports"));
    traffic.put(notes, new Traffic(client, this::noteRequest, Integer.MAX_VALUE, 1));
    traffic.put(gallery, new Traffic(client, i -> post("/gallery/?kib=256"), Integer.MAX_VALUE, 2));
    traffic.put(
        reports,
        new Traffic(client, i -> post("/reports/?pages=" + PAGES_PER_REPORT), NR_REPORTS, 1));
    List<Thread> threads = traffic.values().stream().map(Thread.ofVirtual()::start).toList();
    Traffic greedy = Objects.requireNonNull(traffic.get(gallery));
    for (int second = 1; second <= nrSeconds || greedy.nrRefused() == 0; second++) {
      Thread.sleep(1000);
      print(second);
      if (second == MAX_SECONDS) {
        break; // the check says what is wrong
      }
    }
    threads.getLast().join();
    undeployWhileItHasMemory(reports);
    traffic.values().forEach(Traffic::stop);
    for (Thread thread : threads) {
      thread.join();
    }
    printTable();
    check(notes, gallery);
    client.close();
  }

  private HttpRequest noteRequest(int number) {
    URI uri = uri("/notes/" + number / 2 % NR_NOTES);
    return number % 2 == 0
        ? HttpRequest.newBuilder(uri).PUT(BodyPublishers.ofString("x".repeat(NOTE_BYTES))).build()
        : HttpRequest.newBuilder(uri).build();
  }

  private HttpRequest post(String path) {
    return HttpRequest.newBuilder(uri(path)).POST(BodyPublishers.noBody()).build();
  }

  private URI uri(String path) {
    return URI.create("http://127.0.0.1:" + container.port() + path);
  }

  // ---- the one that leaves

  /** The others go on meanwhile. */
  private void undeployWhileItHasMemory(Application application) throws Exception {
    String path = application.group().path();
    Holdings before = Holdings.of(container.kmalloc(), path);
    WeakReference<ClassLoader> loader = new WeakReference<>(application.classLoader());
    container.undeploy(application);
    Holdings after = Holdings.of(container.kmalloc(), path);
    out.printf(
        Locale.ROOT,
        "%nundeployed %s: its group is removed, %d objects (%.1f MiB) that it did not free are"
            + " charged to %s%n",
        application.name(),
        after.nrObjects(),
        after.nrBytes() / MIB,
        container.apps().path());
    promise(!application.group().isOnline(), "the group of an undeployed application is there");
    promise(
        before.equals(after) && after.nrObjects() >= (long) NR_REPORTS * PAGES_PER_REPORT,
        "memory was not inherited whole: before=" + before + " after=" + after);
    int status =
        client.send(post("/reports/"), HttpResponse.BodyHandlers.discarding()).statusCode();
    promise(status == 404, "an undeployed application answers: status=" + status);
    List<LeakSuspect> leaked = scan(path, after);
    promise(loader.refersTo(null), "the class loader of an undeployed application is still there");
    leaked.forEach(suspect -> container.kmalloc().free(suspect.address()));
    promise(
        Holdings.of(container.kmalloc(), path).equals(Holdings.NONE),
        "freed what was found, but " + Holdings.of(container.kmalloc(), path) + " is left");
    out.printf(Locale.ROOT, "freed what the scan found%n%n");
  }

  /** Its classes are gone, and with them all that knew the addresses. */
  private List<LeakSuspect> scan(String path, Holdings expected) {
    for (int scan = 1; ; scan++) {
      LeakReport report = container.leaks().scan();
      List<LeakSuspect> leaked =
          report.suspects().stream()
              .filter(suspect -> suspect.removedCgroup().equals(path))
              .toList();
      long nrBytes = leaked.stream().mapToLong(LeakSuspect::nrBytes).sum();
      if (nrBytes == expected.nrBytes() || scan == MAX_SCANS) {
        promise(
            nrBytes == expected.nrBytes() && leaked.size() == expected.nrObjects(),
            "the scan did not find all: expected=" + expected + " nrBytes=" + nrBytes);
        report.groups().stream()
            .filter(group -> group.first().removedCgroup().equals(path))
            .findFirst()
            .ifPresent(this::printLeak);
        return leaked;
      }
    }
  }

  private void printLeak(LeakGroup group) {
    LeakSuspect first = group.first();
    out.printf(
        Locale.ROOT,
        "leak scan: %d objects of cgroup \"%s\", inherited from \"%s\", that hold %d more (%.1f MiB"
            + " in all), allocated at%n",
        group.suspects().size(),
        first.cgroup(),
        first.removedCgroup(),
        group.nrHeld(),
        (group.nrBytes() + group.heldBytes()) / MIB);
    first.frames().stream()
        .filter(frame -> frame.getClassName().startsWith("io.memcg4j.examples.apps"))
        .forEach(frame -> out.println("    " + frame));
    promise(
        first.frames().toString().contains("ReportsServlet.write"),
        "the leak has another call site: " + first.frames());
  }

  // ---- promises

  private void check(Application notes, Application gallery) throws InterruptedException {
    traffic.forEach((application, requests) -> {
      promise(
          requests.failure() == null,
          application.name() + " was answered badly: " + requests.failure());
      promise(
          application.group().peak() <= application.group().max(),
          application.name() + " was over its quota: peak=" + application.group().peak());
    });
    Traffic steady = Objects.requireNonNull(traffic.get(notes));
    promise(steady.nrOk() > 0 && steady.nrRefused() == 0, "notes was refused memory");
    Traffic greedy = Objects.requireNonNull(traffic.get(gallery));
    promise(greedy.nrOk() > 0 && greedy.nrRefused() > 0, "gallery was never refused memory");
    for (int i = 0; i < 3000 && container.root().slots().nrBusy() > 0; i++) {
      Thread.sleep(10); // an answer may be here before its thread has left the filter
    }
    promise(
        container.root().slots().nrBusy() == 0,
        "no request is under way, but scopes are open: " + container.root().slots().nrBusy());
  }

  /**
   * The last promise, after the container was closed: all is given back.
   *
   * @return the promises that were broken
   */
  List<String> finish() {
    container.root().drain();
    promise(
        container.apps().usage() == 0,
        "all is undeployed, but usage of /apps is " + container.apps().usage());
    out.println(broken.isEmpty() ? "all promises kept" : "promises broken: " + broken.size());
    return List.copyOf(broken);
  }

  private void promise(boolean kept, String otherwise) {
    if (!kept) {
      broken.add(otherwise);
    }
  }

  // ---- output

  private void print(int second) {
    StringBuilder line = new StringBuilder(String.format(Locale.ROOT, "%3d s", second));
    traffic.forEach((application, requests) ->
        line.append(
            String.format(
                Locale.ROOT,
                "   %s %.1f of %.0f MiB, %d ok, %d refused",
                application.name(),
                application.group().usage() / MIB,
                application.group().max() / MIB,
                requests.nrOk(),
                requests.nrRefused())));
    out.println(line);
  }

  private void printTable() {
    out.printf(
        Locale.ROOT,
        "%-14s %9s %9s %9s %9s %9s %9s %9s%n",
        "group",
        "max MiB",
        "peak MiB",
        "requests",
        "ok",
        "refused",
        "p50 us",
        "p99 us");
    traffic.forEach((application, requests) ->
        out.printf(
            Locale.ROOT,
            "%-14s %9.1f %9.1f %9d %9d %9d %9d %9d%n",
            application.group().path(),
            application.group().max() / MIB,
            application.group().peak() / MIB,
            requests.nrRequests(),
            requests.nrOk(),
            requests.nrRefused(),
            requests.percentileMicros(50),
            requests.percentileMicros(99)));
  }
}
