package io.memcg4j.objcg;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemCgroup;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import jdk.jfr.Contextual;
import jdk.jfr.Event;
import jdk.jfr.Name;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A recording tells whose scope it was in which something happened. */
final class ScopeEventTest {
  @TempDir private Path folder;

  @Name("memcg4j.test.Work")
  private static final class Work extends Event {}

  private Path record(boolean enabled) throws IOException {
    try (Recording recording = new Recording()) {
      if (enabled) {
        recording.enable("memcg4j.Scope");
      }
      recording.start();
      MemCgroup root = MemCgroup.root();
      ObjCgroup acme = ObjCgroup.of(root.create("acme"));
      ObjCgroup globex = ObjCgroup.of(root.create("globex"));
      try (Scope outer = acme.enter()) {
        try (Scope _ = globex.enter()) {
          new Work().commit();
        }
        outer.moveTo(globex);
        outer.resync();
      }
      recording.stop();
      Path file = folder.resolve("scope.jfr");
      recording.dump(file);
      return file;
    }
  }

  @Test
  void scope_asked_oneEventEachWithItsGroup() throws IOException {
    List<RecordedEvent> scopes =
        RecordingFile.readAllEvents(record(true)).stream()
            .filter(event -> event.getEventType().getName().equals("memcg4j.Scope"))
            .toList();
    assertEquals(
        List.of("/globex", "/globex"),
        scopes.stream().map(scope -> scope.getString("cgroup")).toList(),
        "the inner one, and the outer one that was moved");
    assertTrue(scopes.getFirst().getDuration().compareTo(scopes.getLast().getDuration()) <= 0);
    assertNotNull(
        scopes.getFirst().getEventType().getField("cgroup").getAnnotation(Contextual.class));
  }

  @Test
  void scope_notAsked_noEvent() throws IOException {
    assertTrue(
        RecordingFile.readAllEvents(record(false)).stream()
            .noneMatch(event -> event.getEventType().getName().equals("memcg4j.Scope")));
  }

  @Test
  void jfrPrint_eventInAScope_showsItsGroup() throws IOException, InterruptedException {
    Path file = record(true);
    Path tool = Path.of(System.getProperty("java.home"), "bin", "jfr");
    Process print =
        new ProcessBuilder(tool.toString(), "print", "--events", "memcg4j.*", file.toString())
            .redirectErrorStream(true)
            .redirectOutput(folder.resolve("print.txt").toFile())
            .start();
    assertEquals(0, print.waitFor());
    String text = Files.readString(folder.resolve("print.txt"), StandardCharsets.UTF_8);
    String work = text.substring(text.indexOf("memcg4j.test.Work {"));
    assertTrue(work.contains("Context: Scope.cgroup = \"/globex\""), text);
  }
}
