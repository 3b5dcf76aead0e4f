package io.memcg4j.memcg;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What recordings of the JVM tell of limits, read back with the JDK's reader and its tool. */
final class MemcgEventsTest {
  private static final long MIB = 1L << 20;

  @TempDir private Path folder;

  private interface Work {
    void run(MemCgroup root);
  }

  /** Runs work under a recording with the settings that the events have by themselves. */
  private Path record(Map<String, String> settings, Work work) {
    try (Recording recording = new Recording()) {
      recording.setSettings(settings);
      recording.start();
      work.run(MemCgroup.root());
      recording.stop();
      Path file = folder.resolve("memcg.jfr");
      recording.dump(file);
      return file;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The same, but every event that happens is recorded. */
  private Path recordAll(Work work) {
    Map<String, String> settings = new HashMap<>();
    for (String name : List.of("Refusal", "Throttle", "Reclaim", "OutOfMemory", "Removal")) {
      settings.put("memcg4j." + name + "#throttle", "off");
    }
    return record(settings, work);
  }

  private static List<RecordedEvent> read(Path file, String name) {
    try {
      return RecordingFile.readAllEvents(file).stream()
          .filter(event -> event.getEventType().getName().equals(name))
          .toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static RecordedEvent only(Path file, String name) {
    List<RecordedEvent> events = read(file, name);
    assertEquals(1, events.size(), name);
    return events.getFirst();
  }

  @Test
  void refusal_namesGroupLimitAndFigures() {
    Path file =
        recordAll(root -> {
          MemCgroup acme = root.create("acme");
          MemCgroup web = acme.create("web");
          acme.setMax(2 * MIB);
          Charge charge = web.charge("x", MemoryClass.HEAP);
          charge.set(MIB);
          assertFalse(charge.trySet(5 * MIB));
          charge.close();
        });
    RecordedEvent refusal = only(file, "memcg4j.Refusal");
    assertEquals("/acme/web", refusal.getString("cgroup"));
    assertEquals("/acme", refusal.getString("limitedBy"));
    assertEquals(4 * MIB, refusal.getLong("requested"));
    assertEquals(MIB, refusal.getLong("usage"));
    assertEquals(2 * MIB, refusal.getLong("max"));
    assertNotNull(refusal.getStackTrace(), "whose request it was");
    assertTrue(read(file, "memcg4j.LimitHit").isEmpty(), "off unless asked for");
  }

  @Test
  void limitHit_asked_alsoOfRequestsThatAreGrantedInTheEnd() {
    Path file =
        record(
            Map.of("memcg4j.LimitHit#enabled", "true"),
            root -> {
              MemCgroup acme = root.create("acme");
              acme.setMax(2 * MIB);
              FakeCache cache = new FakeCache(acme, 2 * MIB);
              Charge charge = acme.charge("x", MemoryClass.HEAP);
              charge.set(MIB);
              charge.close();
              cache.charge.close();
            });
    assertEquals("/acme", only(file, "memcg4j.LimitHit").getString("cgroup"));
    assertTrue(read(file, "memcg4j.Refusal").isEmpty());
  }

  @Test
  void refusal_thatIsForcedInTheEnd_isNone() {
    Path file =
        recordAll(root -> {
          MemCgroup acme = root.create("acme");
          acme.setMax(MIB);
          Charge charge = acme.charge("x", MemoryClass.HEAP);
          charge.set(3 * MIB, ChargeMode.FORCE);
          charge.close();
        });
    assertTrue(read(file, "memcg4j.Refusal").isEmpty());
  }

  @Test
  void refusal_ofRequestThatWaits_onceAtMost() {
    Path file =
        recordAll(root -> {
          MemCgroup acme = root.create("acme");
          acme.setMax(MIB);
          try (Charge charge = acme.charge("x", MemoryClass.HEAP)) {
            assertFalse(acme.setAwait(charge, 3 * MIB, Duration.ofMillis(200)));
          } catch (InterruptedException e) {
            throw new AssertionError(e);
          }
        });
    only(file, "memcg4j.Refusal");
  }

  @Test
  void reclaim_wantedByALimitAndByAWrite_saysWhatForAndWhatCameOfIt() {
    Path file =
        recordAll(root -> {
          MemCgroup acme = root.create("acme");
          Shrinker slow =
              new Shrinker() {
                @Override
                public long count() {
                  return MIB;
                }

                @Override
                public long scan(long nrBytes) {
                  try {
                    TimeUnit.MILLISECONDS.sleep(2); // longer than the threshold
                  } catch (InterruptedException e) {
                    throw new AssertionError(e);
                  }
                  return 0;
                }
              };
          try (var _ = acme.addShrinker(slow)) {
            FakeCache cache = new FakeCache(acme, 4 * MIB);
            acme.setMax(3 * MIB);
            cache.charge.close();
          }
        });
    List<RecordedEvent> walks = read(file, "memcg4j.Reclaim");
    assertFalse(walks.isEmpty());
    assertEquals("/acme", walks.getFirst().getString("cgroup"));
    assertEquals("limit lowered", walks.getFirst().getString("reason"));
    assertEquals(MIB, walks.getFirst().getLong("requested"));
    assertTrue(walks.stream().mapToLong(walk -> walk.getLong("freed")).sum() >= MIB);
    assertTrue(walks.getFirst().getDuration().toMillis() >= 1);
  }

  @Test
  void throttle_isAsLongAsThePause() {
    Path file =
        recordAll(root -> {
          MemCgroup acme = root.create("acme");
          acme.setHigh(MIB);
          Charge charge = acme.charge("x", MemoryClass.HEAP);
          charge.set(MIB + MIB / 8);
          charge.close();
        });
    RecordedEvent pause = only(file, "memcg4j.Throttle");
    assertEquals("/acme", pause.getString("cgroup"));
    assertEquals("/acme", pause.getString("limitedBy"));
    assertEquals(MIB, pause.getLong("high"));
    assertEquals(MIB + MIB / 8, pause.getLong("usage"));
    assertTrue(pause.getDuration().compareTo(pause.getDuration("due")) >= 0);
  }

  @Test
  void outOfMemory_namesVictims() {
    Path file =
        recordAll(root -> {
          MemCgroup acme = root.create("acme");
          MemCgroup query = acme.create("query");
          Charge victim = query.charge("rows", MemoryClass.HEAP);
          victim.set(MIB);
          query.setOomKill(victim::close, Duration.ofSeconds(20), 0);
          acme.setMax(MIB);
          acme.setOomHandler(OomHandler.KILL_LARGEST);
          Charge charge = acme.charge("x", MemoryClass.HEAP);
          charge.set(MIB);
          charge.close();
        });
    RecordedEvent visit = only(file, "memcg4j.OutOfMemory");
    assertEquals("/acme", visit.getString("cgroup"));
    assertEquals("/acme/query", visit.getString("victims"));
    assertTrue(visit.getBoolean("again"));
    RecordedEvent kill = only(file, "memcg4j.OomKill");
    assertEquals("/acme/query", kill.getString("cgroup"));
    assertEquals(MIB, kill.getLong("usage"));
  }

  @Test
  void removal_saysWhatWasLeft() {
    Path file =
        recordAll(root -> {
          MemCgroup acme = root.create("acme");
          acme.forceCharge(3);
          acme.forceCharge(2);
          acme.unchargeNow(2);
          acme.remove();
          acme.unchargeNow(3);
        });
    RecordedEvent removal = only(file, "memcg4j.Removal");
    assertEquals("/acme", removal.getString("cgroup"));
    assertEquals(3L * MemCgroup.PAGE_SIZE, removal.getLong("usage"));
    assertEquals(5L * MemCgroup.PAGE_SIZE, removal.getLong("peak"));
  }

  @Test
  void refusals_aThousandTimesMoreThanAllowed_fewAreRecorded() {
    int nrRefusals = 100_000;
    long start = System.nanoTime();
    Path file =
        record(
            Map.of(),
            root -> {
              MemCgroup acme = root.create("acme");
              acme.setMax(MIB);
              try (Charge charge = acme.charge("x", MemoryClass.HEAP)) {
                for (int i = 0; i < nrRefusals; i++) {
                  assertFalse(charge.trySet(2 * MIB));
                }
              }
            });
    long seconds = TimeUnit.NANOSECONDS.toSeconds(System.nanoTime() - start) + 1;
    int nrRecorded = read(file, "memcg4j.Refusal").size();
    assertTrue(nrRecorded > 0);
    assertTrue(nrRecorded <= 100 * (seconds + 1), () -> "recorded " + nrRecorded);
  }

  /** Names have no control characters, but everything else. */
  @Test
  void jfrPrint_readsTheRecording() throws IOException, InterruptedException {
    Path file =
        recordAll(root -> {
          MemCgroup group = root.create("a\"b{}\u202e");
          group.setMax(0);
          assertFalse(group.charge("x", MemoryClass.HEAP).trySet(1));
          group.remove();
        });
    Path tool = Path.of(System.getProperty("java.home"), "bin", "jfr");
    Process print =
        new ProcessBuilder(tool.toString(), "print", "--events", "memcg4j.*", file.toString())
            .redirectErrorStream(true)
            .redirectOutput(folder.resolve("print.txt").toFile())
            .start();
    assertEquals(0, print.waitFor());
    String text = Files.readString(folder.resolve("print.txt"), StandardCharsets.UTF_8);
    assertTrue(text.contains("memcg4j.Refusal {"), text);
    assertTrue(text.contains("memcg4j.Removal {"), text);
    assertTrue(text.contains("reclaimRounds = 0"), text);
  }
}
