package io.memcg4j.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.console.ConsoleDirectory;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** JVMs of their own: found by their files, told apart by pid, forgotten when they die. */
final class SeveralJvmsTest {
  private static final Path FILES = ConsoleDirectory.ofThisUser().folder();

  @BeforeAll
  static void prepare() {
    Ran.prepare();
  }

  private static Process start(String name) throws IOException {
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--enable-native-access=ALL-UNNAMED",
                "-XX:TieredStopAtLevel=1",
                "-cp",
                System.getProperty("java.class.path"),
                EmbeddedApp.class.getName(),
                name)
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    BufferedReader out =
        new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
    assertEquals("ready", out.readLine());
    return process;
  }

  private static void end(Process process) throws InterruptedException {
    process.destroyForcibly();
    assertTrue(process.waitFor(20, TimeUnit.SECONDS));
  }

  @Test
  void twoJvms_chosenByPid_andTheDeadAreForgotten() throws Exception {
    Process first = start("first");
    Process second = start("second");
    try {
      Ran.cli("tree")
          .failed(Main.USAGE, "--pid " + first.pid())
          .failed(Main.USAGE, "--pid " + second.pid());
      String pid = Long.toString(second.pid());
      assertEquals("1048576", Ran.cli("cat", "--pid", pid, "second/memory.max").ok().out().strip());
      Ran.cli("cat", "--pid", pid, "first/memory.max").failed(Main.FAILED, "no such group");
      Ran.cli("set", "--pid", Long.toString(first.pid()), "first/memory.max", "2M").ok();
      Ran.cli("tree", "--pid", "1").failed(Main.USAGE, "no such JVM");

      Path file = FILES.resolve(first.pid() + ".json");
      assertEquals("rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(file)));
      assertEquals(
          "rwx------", PosixFilePermissions.toString(Files.getPosixFilePermissions(FILES)));

      end(first); // its file stays
      assertTrue(Files.exists(file));
      assertEquals(
          "second", Ran.cli("list", "--json").json().getFirst().get("name"), "and no other");
      assertEquals(
          List.of("/", "/second"),
          Ran.cli("tree", "--json").json().stream().map(line -> line.get("path")).toList());
    } finally {
      end(first);
      end(second);
    }
  }

  @Test
  void file_thatOthersMayRead_isNotTrusted() throws Exception {
    Process app = start("app");
    Path file = FILES.resolve(app.pid() + ".json");
    try {
      Ran.cli("tree").ok();
      Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-r--r--"));
      Ran.cli("tree").failed(Main.FAILED, "no JVM of this user");
    } finally {
      end(app);
      Files.deleteIfExists(file);
    }
  }

  @Test
  void jvm_thatDoesNotAnswer_isNamed() throws Exception {
    Process app = start("app");
    try {
      // Alive, but nobody listens at the address.
      Path file = FILES.resolve(app.pid() + ".json");
      String text = Files.readString(file);
      Files.writeString(file, text.replaceAll("127\\.0\\.0\\.1:\\d+", "127.0.0.1:1"));
      Ran.cli("tree").failed(Main.FAILED, "the console does not answer: pid=" + app.pid());
      Ran doctor = Ran.cli("doctor");
      assertEquals(Main.FAILED, doctor.exitCode());
      assertTrue(doctor.out().contains("fail  jvm " + app.pid()), doctor.out());
    } finally {
      end(app);
    }
  }
}
