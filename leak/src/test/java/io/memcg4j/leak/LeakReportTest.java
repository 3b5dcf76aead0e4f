package io.memcg4j.leak;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What a report says, for people and for programs. */
final class LeakReportTest {
  private final LeakHeap heap = new LeakHeap();
  private final Kmemleak kmemleak = heap.kmemleak;

  @TempDir Path folder = Path.of("");

  @AfterEach
  void close() {
    heap.close();
  }

  private long fromOneSite() {
    return heap.allocate(64);
  }

  private long fromAnotherSite() {
    return heap.allocate(heap.db, 128);
  }

  @Test
  void jsonLines_oneObjectPerBlock() {
    long parent = fromOneSite();
    long child = fromAnotherSite();
    LeakHeap.put(parent, child);
    List<String> lines = heap.scanTwice().toJsonLines().lines().toList();
    assertEquals(2, lines.size());
    String first = lines.getFirst();
    assertTrue(first.startsWith(String.format("{\"address\":\"0x%x\",\"nrBytes\":64,", parent)));
    assertTrue(first.contains("\"cgroup\":\"/web\",\"cache\":\"kmalloc-64\""), first);
    assertTrue(first.contains("LeakReportTest.fromOneSite("), first);
    assertFalse(first.contains("heldBy"), first);
    assertTrue(lines.getLast().contains(String.format("\"heldBy\":\"0x%x\"", parent)));
  }

  @Test
  void age_isExactWhereTheCallSiteIsKnown_elseAtLeast() {
    heap.kmalloc.profile().off();
    long unknown = fromOneSite();
    heap.kmalloc.profile().exact();
    long known = fromOneSite();
    LeakReport report = heap.scanTwice();
    for (LeakSuspect suspect : report.suspects()) {
      assertEquals(suspect.address() == known, suspect.isAgeExact(), suspect::toString);
      assertTrue(suspect.ageNanos() >= 0, suspect::toString);
      assertEquals(
          suspect.address() == unknown,
          LeakText.list(List.of(suspect)).contains("(age at least "),
          suspect::toString);
    }
  }

  @Test
  void jsonString_isEscaped() {
    assertEquals("\"a\\\"b\\\\c\\u000a\\u0001d\\ud83d\"", LeakJson.string("a\"b\\c\n\1d\ud83d"));
  }

  @Test
  void collapsed_isOneLineForEachStack() {
    for (int i = 0; i < 3; i++) {
      fromOneSite();
    }
    fromAnotherSite();
    List<String> lines = heap.scanTwice().toCollapsed().lines().toList();
    assertEquals(2, lines.size());
    assertTrue(lines.getFirst().startsWith("/db;"), lines::toString);
    assertTrue(
        lines
            .getFirst()
            .endsWith(
                "LeakReportTest.fromAnotherSite;io.memcg4j.leak.LeakHeap.allocate"
                    + ";[kmalloc-128] 128"),
        lines::toString);
    assertTrue(lines.getLast().endsWith("[kmalloc-64] 192"), lines::toString);
  }

  @Test
  void since_tellsNewGoneAndGrownByCallSite() {
    List<Long> early = new ArrayList<>();
    for (int i = 0; i < 3; i++) {
      early.add(fromOneSite());
    }
    LeakReport before = heap.scanTwice();
    heap.kmalloc.free(early.get(0));
    heap.kmalloc.free(early.get(1));
    long late = fromAnotherSite();
    LeakReport after = heap.scanTwice();
    LeakDiff diff = after.since(before);
    assertEquals(List.of(late), diff.appeared().stream().map(LeakSuspect::address).toList());
    assertEquals(
        new TreeSet<>(early.subList(0, 2)),
        diff.gone().stream().map(LeakSuspect::address).collect(Collectors.toSet()));
    assertEquals(2, diff.sites().size());
    assertEquals(128, diff.sites().getFirst().grownBytes());
    assertEquals("/db", diff.sites().getFirst().cgroup());
    assertEquals(-128, diff.sites().getLast().grownBytes());
    assertEquals(2, diff.sites().getLast().nrGone());
    assertTrue(diff.toString().startsWith("+128 bytes, 1 new, 0 gone: "), diff::toString);
    assertEquals(List.of(), after.since(after).sites());
  }

  @Test
  void hexDump_isOffUnlessAskedFor() {
    long block = fromOneSite();
    LeakHeap.put(block, 0x4142_4344_0001_7f7eL);
    assertFalse(heap.scanTwice().toString().contains("hex dump"));
    Kmemleak dumping = heap.builder().hexDump().build();
    dumping.scan();
    String text = dumping.scan().toString();
    assertTrue(text.contains("hex dump (first 32 bytes):"), text);
    assertTrue(
        text.contains("    7e 7f 01 00 44 43 42 41 00 00 00 00 00 00 00 00  ~...DCBA"), text);
  }

  @Test
  void hexDump_saysHowManyBytes() {
    for (int nrBytes = 0; nrBytes <= 40; nrBytes++) {
      byte[] bytes = new byte[nrBytes];
      Arrays.fill(bytes, (byte) ' ');
      assertEquals(nrBytes, LeakSuspect.nrBytesOf(LeakSuspect.hexDumpOf(bytes)));
    }
  }

  @Test
  void jfr_scansAndNewSuspectsAreEvents() throws IOException {
    long parent = fromOneSite();
    long child = fromAnotherSite();
    LeakHeap.put(parent, child);
    Path file = folder.resolve("leak.jfr");
    try (Recording recording = new Recording()) {
      recording.enable("memcg4j.LeakScan");
      recording.enable("memcg4j.LeakSuspect");
      recording.start();
      heap.scanTwice();
      kmemleak.scan();
      recording.stop();
      recording.dump(file);
    }
    List<RecordedEvent> events = RecordingFile.readAllEvents(file);
    assertEquals(
        List.of(0, 2, 0),
        events.stream()
            .filter(event -> event.getEventType().getName().equals("memcg4j.LeakScan"))
            .map(event -> event.getInt("nrNew"))
            .toList());
    List<RecordedEvent> suspects =
        events.stream()
            .filter(event -> event.getEventType().getName().equals("memcg4j.LeakSuspect"))
            .toList();
    assertEquals(2, suspects.size(), "reported as new once");
    for (RecordedEvent suspect : suspects) {
      boolean isParent = suspect.getLong("address") == parent;
      assertEquals(isParent ? "/web" : "/db", suspect.getString("cgroup"));
      assertEquals(isParent ? 0 : parent, suspect.getLong("heldBy"));
      assertEquals(isParent ? 64 : 128, suspect.getLong("size"));
      assertTrue(suspect.getString("callSite").contains("LeakReportTest.from"), suspect::toString);
    }
    assertTrue(Files.size(file) > 0);
  }

  @Test
  void partOfAReport_showsBlocksWhoseHolderIsNotInIt() {
    long parent = fromOneSite();
    long child = fromAnotherSite();
    LeakHeap.put(parent, child);
    LeakReport all = heap.scanTwice();
    List<LeakSuspect> part =
        all.suspects().stream().filter(suspect -> suspect.address() == child).toList();
    LeakReport shown = new LeakReport(part, 0, HeapRoots.NONE, 0, 0, 0, 0, 0, 0, 0);
    assertTrue(shown.toString().contains(String.format("object 0x%016x", child)));
    assertEquals(0, shown.groups().getFirst().nrHeld());
  }

  /** Every block hangs on exactly the causes that reach it, and no cause hangs on another. */
  @Test
  void randomGraphs_causesReachEverythingAndNotEachOther() {
    long seed = new SplittableRandom().nextLong();
    SplittableRandom random = new SplittableRandom(seed);
    for (int round = 0; round < 20; round++) {
      try (LeakHeap graph = new LeakHeap()) {
        int nrBlocks = 2 + random.nextInt(30);
        long[] blocks = new long[nrBlocks];
        TreeMap<Long, Set<Long>> edges = new TreeMap<>();
        for (int i = 0; i < nrBlocks; i++) {
          blocks[i] = graph.allocate(64);
          edges.put(blocks[i], new TreeSet<>());
        }
        for (int n = random.nextInt(2 * nrBlocks); n > 0; n--) {
          long from = blocks[random.nextInt(nrBlocks)];
          long to = blocks[random.nextInt(nrBlocks)];
          Set<Long> mine = edgesOf(from, edges);
          if (mine.size() < 8 && from != to && mine.add(to)) {
            LeakHeap.put(from + (mine.size() - 1) * 8L, to + random.nextInt(64));
          }
        }
        LeakReport report = graph.scanTwice();
        String message = "seed=" + seed + " round=" + round;
        assertEquals(edges.keySet(), LeakHeap.addresses(report), message);
        Set<Long> reached = new TreeSet<>();
        for (LeakSuspect suspect : report.suspects()) {
          if (suspect.isRootCause()) {
            Set<Long> mine = reach(suspect.address(), edges);
            for (LeakSuspect other : report.suspects()) {
              boolean isOther = other.isRootCause() && other.address() != suspect.address();
              assertFalse(isOther && mine.contains(other.address()), message);
            }
            reached.addAll(mine);
          } else {
            assertTrue(edgesOf(suspect.heldBy(), edges).contains(suspect.address()), message);
          }
        }
        assertEquals(edges.keySet(), reached, message);
        long nrGrouped =
            report.groups().stream().mapToLong(g -> g.suspects().size() + g.nrHeld()).sum();
        assertEquals(nrBlocks, nrGrouped, message);
      }
    }
  }

  private static Set<Long> edgesOf(long from, Map<Long, Set<Long>> edges) {
    return edges.computeIfAbsent(from, f -> new TreeSet<>());
  }

  private static Set<Long> reach(long from, Map<Long, Set<Long>> edges) {
    Set<Long> reached = new TreeSet<>(Set.of(from));
    List<Long> work = new ArrayList<>(reached);
    while (!work.isEmpty()) {
      for (long next : edgesOf(work.removeLast(), edges)) {
        if (reached.add(next)) {
          work.add(next);
        }
      }
    }
    return reached;
  }
}
