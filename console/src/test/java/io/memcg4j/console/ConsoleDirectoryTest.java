package io.memcg4j.console;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Instant;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ConsoleDirectoryTest {
  private static final String NAME = "x \"quoted\" \\ \u202e<b>\uD83D\uDE00";

  @TempDir Path folder;

  private static RunningConsole ofThisJvm() {
    return new RunningConsole(
        ProcessHandle.current().pid(),
        NAME,
        URI.create("http://127.0.0.1:7070/"),
        "secret",
        Instant.ofEpochMilli(1_234_567));
  }

  @Test
  void whatIsRegistered_isFoundAndPrivate() throws IOException {
    Path own = folder.resolve("own");
    ConsoleDirectory directory = new ConsoleDirectory(own);
    assertEquals(List.of(), directory.list());
    Path file = directory.register(ofThisJvm());
    assertEquals("rwx------", PosixFilePermissions.toString(Files.getPosixFilePermissions(own)));
    assertEquals("rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(file)));
    assertEquals(List.of(ofThisJvm()), directory.list());
    assertFalse(directory.list().toString().contains("secret"));
    directory.register(ofThisJvm());
    assertEquals(2, directory.list().size());
    Files.delete(file);
    assertEquals(1, directory.list().size());
  }

  @Test
  void filesOfProcessesThatAreGone_areRemoved() throws IOException {
    Path own = folder.resolve("own");
    ConsoleDirectory directory = new ConsoleDirectory(own);
    Path file = directory.register(ofThisJvm());
    String text = Files.readString(file);
    long pid = ProcessHandle.current().pid();
    // The pid of another process by now: what started it is not what wrote the file.
    Files.writeString(file, text.replaceAll("\"processStarted\":\\d+", "\"processStarted\":77"));
    assertEquals(List.of(), directory.list());
    assertFalse(Files.exists(file));
    Path gone = directory.register(ofThisJvm());
    Files.writeString(gone, text.replace("\"pid\":" + pid, "\"pid\":" + (1L << 40)));
    assertEquals(List.of(), directory.list());
    assertFalse(Files.exists(gone));
  }

  @Test
  void aFolderThatOthersMayEnter_isNeitherReadNorWritten() throws IOException {
    Path own = folder.resolve("own");
    ConsoleDirectory directory = new ConsoleDirectory(own);
    directory.register(ofThisJvm());
    Files.setPosixFilePermissions(own, PosixFilePermissions.fromString("rwxr-xr-x"));
    assertEquals(List.of(), directory.list());
    assertThrows(IOException.class, () -> directory.register(ofThisJvm()));
  }

  @Test
  void linksAndOtherFiles_areLeftAlone() throws IOException {
    Path own = folder.resolve("own");
    ConsoleDirectory directory = new ConsoleDirectory(own);
    Path file = directory.register(ofThisJvm());
    Path elsewhere = Files.move(file, folder.resolve("elsewhere.json"));
    Files.createSymbolicLink(own.resolve("1.json"), elsewhere);
    Path strange =
        Files.createFile(
            own.resolve("2.json"),
            PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
    Files.writeString(strange, "{\"pid\":");
    assertEquals(List.of(), directory.list());
    assertTrue(Files.exists(strange));
  }
}
