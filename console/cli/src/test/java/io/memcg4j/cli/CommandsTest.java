package io.memcg4j.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import io.memcg4j.console.Console;
import io.memcg4j.leak.Kmemleak;
import io.memcg4j.memcg.Charge;
import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryClass;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.slab.Kmalloc;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Every command against a console in this JVM, as text and as JSON. */
final class CommandsTest {
  private static final long MIB = 1L << 20;

  /** Clears the screen, rings, hides what follows, turns the direction, breaks the line. */
  private static final String HOSTILE = "evil\u202e\ufefftenant";

  private final MemCgroup root = MemCgroup.root();
  private final MemCgroup acme = root.create("acme");
  private final Kmalloc kmalloc = Kmalloc.create(root);
  private final Kmemleak kmemleak =
      Kmemleak.builder(kmalloc).minAge(Duration.ZERO).withoutJavaHeap().build();
  private @Nullable Console console;
  private final String pid = Long.toString(ProcessHandle.current().pid());

  @BeforeAll
  static void prepare() {
    Ran.prepare();
  }

  @BeforeEach
  void start() {
    acme.setMax(64 * MIB);
    acme.setHigh(48 * MIB);
    console =
        Console.builder(kmalloc)
            .leaks(kmemleak)
            .name("shop \u001b[2J")
            .period(Duration.ofMillis(100))
            .start();
  }

  @AfterEach
  void stop() {
    if (console != null) {
      console.close();
    }
    kmalloc.close();
  }

  private static Map<String, @Nullable Object> at(
      List<Map<String, @Nullable Object>> lines, String name, Object value) {
    return lines.stream()
        .filter(line -> value.equals(line.get(name)))
        .findFirst()
        .orElseThrow(() -> new AssertionError(name + "=" + value + " in " + lines));
  }

  /** The console looks once in a period. */
  private static Map<String, @Nullable Object> awaitGroup(String path, String name, Object value)
      throws InterruptedException {
    while (true) {
      for (Map<String, @Nullable Object> line : Ran.cli("tree", "--json").json()) {
        if (path.equals(line.get("path")) && value.equals(line.get(name))) {
          return line;
        }
      }
      Thread.sleep(10);
    }
  }

  @Test
  void tree_showsUsageAndLimits() throws InterruptedException {
    acme.create("web");
    try (Charge charge = acme.charge("x", MemoryClass.HEAP)) {
      charge.set(16 * MIB);
      assertEquals(64 * MIB, awaitGroup("/acme", "usage", 16 * MIB).get("max"));
      String text = Ran.cli("tree").ok().out();
      assertTrue(text.contains("└─ acme"), text);
      assertTrue(text.contains("   └─ web"), text);
      assertTrue(text.contains("16.0M    48.0M    64.0M    25%"), text);
      assertEquals(List.of("/acme", "/acme/web"), paths("tree", "--json", "acme"));
      assertEquals(List.of("/acme"), paths("tree", "--json", "/acme/", "--depth", "0"));
      Ran.cli("tree", "none").failed(Main.FAILED, "no such group: path=/none");
    }
  }

  private static long number(Map<String, @Nullable Object> line, String name) {
    return line.get(name) instanceof Long value ? value : fail(name + " is no number: " + line);
  }

  private static List<String> paths(String... args) {
    return Ran.cli(args).json().stream().map(line -> String.valueOf(line.get("path"))).toList();
  }

  @Test
  void cat_printsFilesAsTheyAre() {
    assertEquals("67108864", Ran.cli("cat", "acme/memory.max").ok().out().strip());
    assertTrue(Ran.cli("cat", "/acme/memory.events", "memory.max").ok().out().endsWith("max\n"));
    assertEquals(64 * MIB, Ran.cli("cat", "acme/memory.max", "--json").json().get(0).get("value"));
    Map<String, @Nullable Object> events =
        Ran.cli("--json", "cat", "acme/memory.events").json().getFirst();
    assertEquals("/acme/memory.events", events.get("path"));
    assertEquals(0L, Json.object(events.get("values")).get("oom_kill"));
    Map<String, @Nullable Object> pressure =
        Ran.cli("cat", "acme/memory.pressure", "--json").json().getFirst();
    assertEquals(0.0, Json.object(Json.object(pressure.get("values")).get("some")).get("avg10"));
    Ran.cli("cat", "acme/no.such").failed(Main.FAILED, "no such group or file");
    Ran.cli("cat", "acme").failed(Main.FAILED, "is a group, not a file: path=/acme");
    Ran.cli("cat").failed(Main.USAGE, "FILE");
  }

  @Test
  void set_takesEffectAndPrintsTheFile() {
    assertEquals("8388608", Ran.cli("set", "acme/memory.max", "8M").ok().out().strip());
    assertEquals(8 * MIB, acme.max());
    assertEquals(
        "max", Ran.cli("set", "acme/memory.max", "max", "--json").json().getFirst().get("value"));
    assertEquals(MemCgroup.UNLIMITED, acme.max());
    try (Charge charge = acme.charge("x", MemoryClass.HEAP)) {
      charge.set(8 * MIB);
      Ran.cli("set", "--no-block", "acme/memory.high", "1M").ok();
      assertEquals(MIB, acme.high());
    }
    Ran.cli("set", "acme/memory.max", "lots").failed(Main.FAILED, "memory.max");
    Ran.cli("set", "acme/memory.current", "1").failed(Main.FAILED, "can only be read");
    Ran.cli("set", "acme/memory.reclaim", "1M").failed(Main.FAILED, "less was reclaimed");
    Ran.cli("set", "acme/memory.max").failed(Main.USAGE, "VALUE");
    assertEquals(MemCgroup.UNLIMITED, acme.max());
  }

  @Test
  void slabinfoAndVmallocinfo_asTheKernelPrintsThem() {
    long small;
    long area;
    try (Scope _ = ObjCgroup.of(acme).enter()) {
      small = kmalloc.allocate(64);
      area = kmalloc.vmalloc().allocate(MIB);
    }
    String slabinfo = Ran.cli("slabinfo").ok().out();
    assertTrue(slabinfo.startsWith("slabinfo - version: 2.1"), slabinfo);
    assertTrue(slabinfo.contains("kmalloc-64"), slabinfo);
    assertNotNull(
        at(Ran.cli("slabinfo", "--json").json(), "name", "kmalloc-64").get("activeObjects"));
    assertTrue(Ran.cli("vmallocinfo").ok().out().contains("0x"));
    List<Map<String, @Nullable Object>> areas = Ran.cli("vmallocinfo", "--json").json();
    assertEquals(1, areas.size());
    assertEquals("/acme", areas.getFirst().get("group"));
    kmalloc.free(small);
    kmalloc.vmalloc().free(area);
    assertEquals(List.of(), Ran.cli("vmallocinfo", "--json").json());
  }

  @Test
  void kmemleak_commandsAndLeaks() {
    long lost;
    try (Scope _ = ObjCgroup.of(acme).enter()) {
      lost = kmalloc.allocate(100);
    }
    Ran.cli("kmemleak", "scan").ok();
    assertEquals("scan", Ran.cli("kmemleak", "scan", "--json").json().getFirst().get("command"));
    Ran.cli("kmemleak", "scan").ok();
    String text = Ran.cli("kmemleak").ok().out();
    assertTrue(text.contains("unreferenced object"), text);
    Map<String, @Nullable Object> leak = Ran.cli("kmemleak", "--json").json().getFirst();
    assertEquals("/acme", leak.get("group"));
    assertEquals(1L, leak.get("nrBlocks"));
    Ran.cli("kmemleak", "no such").failed(Main.FAILED, "no such");
    kmalloc.free(lost);
  }

  @Test
  void top_withoutATerminal_printsFrames() throws InterruptedException {
    try (Charge charge = acme.charge("x", MemoryClass.HEAP)) {
      charge.set(16 * MIB);
      awaitGroup("/acme", "usage", 16 * MIB);
      String text = Ran.cli("top").ok().out();
      assertEquals(1, text.lines().filter(line -> line.contains("memcg4j top")).count(), text);
      assertTrue(text.contains("25.0"), text);
      assertTrue(text.contains("/acme"), text);
      List<Map<String, @Nullable Object>> two =
          Ran.cli("top", "--json", "--count", "2", "--interval", "0.3", "--rows", "1").json();
      assertEquals(2, two.size());
      assertTrue(number(two.get(1), "t") >= number(two.get(0), "t"));
      assertEquals(0.0, two.get(1).get("usageRate"));
      assertEquals(
          List.of("/", "/acme"),
          paths("top", "--json", "--sort", "path"),
          "in the order asked for");
      assertEquals(List.of("/acme", "/"), paths("top", "--json", "--sort", "LIMIT"));
    }
    Ran.cli("top", "--interval", "0").failed(Main.USAGE, "--interval");
    Ran.cli("top", "--sort", "colour").failed(Main.USAGE, "colour");
    Ran.cli("top", "none").failed(Main.FAILED, "no such group");
  }

  @Test
  void events_countsAndStream() throws Exception {
    try (Charge charge = acme.charge("x", MemoryClass.HEAP)) {
      assertFalse(charge.trySet(65 * MIB));
      awaitGroup("/acme", "eventsMax", 1L);
      assertEquals(1L, at(Ran.cli("events", "--json").json(), "path", "/acme").get("eventsMax"));
      assertTrue(Ran.cli("events").ok().out().contains("/acme"));
      CompletableFuture<Ran> text =
          CompletableFuture.supplyAsync(() -> Ran.cli("events", "--follow", "--count", "1"));
      CompletableFuture<Ran> json =
          CompletableFuture.supplyAsync(() -> Ran.cli("events", "-f", "--count", "1", "--json"));
      while (!text.isDone() || !json.isDone()) {
        assertFalse(charge.trySet(65 * MIB));
        Thread.sleep(20);
      }
      String line = text.get(1, TimeUnit.SECONDS).ok().out();
      assertTrue(line.contains(" /acme max +"), line);
      assertTrue(line.contains("of 64.0M"), line);
      Map<String, @Nullable Object> event = json.get(1, TimeUnit.SECONDS).json().getFirst();
      assertEquals("events", event.get("event"));
      assertEquals("/acme", event.get("group"));
    }
  }

  @Test
  void list_showsThisJvm() {
    String text = Ran.cli("list").ok().out();
    assertTrue(text.contains(pid), text);
    Map<String, @Nullable Object> line = Ran.cli("list", "--json").json().getFirst();
    assertEquals(ProcessHandle.current().pid(), line.get("pid"));
    assertFalse(Ran.cli("list", "--json").out().contains("token"));
  }

  @Test
  void hostileNames_neverReachTheTerminal() throws InterruptedException {
    MemCgroup evil = root.create(HOSTILE);
    evil.setMax(MIB);
    try (Charge charge = evil.charge("x", MemoryClass.HEAP)) {
      assertFalse(charge.trySet(2 * MIB));
      awaitGroup("/" + HOSTILE, "eventsMax", 1L);
      for (String[] args :
          new String[][] {
            {"tree"},
            {"top"},
            {"events"},
            {"list"},
            {"doctor"},
            {"tree", "--json"},
            {"list", "--json"},
            {"doctor", "--json"}
          }) {
        String out = Ran.cli(args).ok().out();
        assertTrue(
            out.codePoints()
                .allMatch(c ->
                    c == '\n'
                        || (Character.getType(c) != Character.CONTROL
                            && Character.getType(c) != Character.FORMAT
                            && Character.getType(c) != Character.SURROGATE
                            && Character.getType(c) != Character.LINE_SEPARATOR)),
            () -> String.join(" ", args) + ": " + out);
      }
      assertTrue(Ran.cli("tree").out().contains("evil\\u202e\\ufefftenant"));
      assertNotNull(at(Ran.cli("tree", "--json").json(), "path", "/" + HOSTILE));
    }
    String err = Ran.cli("tree", "\u001b[2J").failed(Main.FAILED, "\\u001b[2J").err();
    assertFalse(err.contains("\u001b"));
    assertFalse(Ran.cli("\u001b[2J").failed(Main.USAGE, "\\u001b").err().contains("\u001b"));
  }

  @Test
  void names_withSlashesPercentsAndSpaces_areFoundInPaths() {
    for (String name : List.of("a b", "100%", "ü+?#", "memory.max", "a&b;c", "<x>\"'")) {
      MemCgroup group = acme.create(name);
      group.setMax(3 * MIB);
      String file = "acme/" + name + "/memory.max";
      assertEquals(Long.toString(3 * MIB), Ran.cli("cat", file).ok().out().strip(), name);
      Ran.cli("set", file, "5M").ok();
      assertEquals(5 * MIB, group.max());
    }
  }

  @Test
  void doctor_tellsOfThisJvmAndItsLimits() throws InterruptedException {
    awaitGroup("/acme", "max", 64 * MIB);
    String text = Ran.cli("doctor").ok().out();
    assertTrue(text.contains("ok    jdk"), text);
    assertTrue(text.contains("ok    allocation"), text);
    assertTrue(text.contains("the root group has no limit"), text);
    List<Map<String, @Nullable Object>> lines = Ran.cli("doctor", "--json").json();
    assertEquals("ok", at(lines, "check", "jdk").get("status"));
    assertEquals("", at(lines, "check", "jdk").get("advice"));
    assertNotNull(at(lines, "check", "jvm " + pid));
  }

  @Test
  void console_closed_isNotFoundAnyMore() {
    if (console != null) {
      console.close();
    }
    Ran.cli("tree").failed(Main.FAILED, "Console.builder(kmalloc).start()");
    assertEquals(List.of(), Ran.cli("list", "--json").json());
    assertTrue(Ran.cli("doctor").ok().out().contains("no JVM of this user"));
  }

  @Test
  void twoConsolesInOneJvm_areToldApartByName() {
    MemCgroup otherRoot = MemCgroup.root();
    otherRoot.create("other");
    try (Kmalloc other = Kmalloc.create(otherRoot);
        Console _ = Console.builder(other).name("second").start()) {
      Ran.cli("tree").failed(Main.USAGE, "choose one with --pid or --name");
      Ran.cli("tree", "--pid", pid).failed(Main.USAGE, "second");
      assertEquals(List.of("/", "/other"), paths("tree", "--json", "--name", "second"));
      Ran.cli("tree", "--name", "third").failed(Main.USAGE, "no such JVM; these run");
    }
  }
}
