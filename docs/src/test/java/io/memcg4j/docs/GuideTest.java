package io.memcg4j.docs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Runs every command of the guide and compiles its code; a block that is broken fails. Its tenants'
 * file is what the server runs with.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
final class GuideTest {
  private static final Path DOCS = Path.of("").toAbsolutePath();
  private static final Path ROOT = DOCS.resolveSibling("");
  private static final Pattern LINK = Pattern.compile("\\[[^\\[\\]]*]\\(([^)#]+)(#[^)]*)?\\)");
  private static final Pattern ARTIFACT = Pattern.compile("<artifactId>(memcg4j-[^<]*)<");

  private List<Block> blocks = List.of();
  private DemoServer server;
  private ShellBlocks shell;
  private JavaBlocks java;

  @BeforeAll
  void start(@TempDir Path folder) throws Exception {
    blocks = new ArrayList<>();
    for (Path page : pages()) {
      blocks.addAll(Block.parse(page));
    }
    String runtime = System.getenv("XDG_RUNTIME_DIR");
    assertTrue(runtime != null && runtime.startsWith(DOCS.toString()), "see surefire in the pom");
    Files.createDirectories(Path.of(runtime));
    Block tenants =
        blocks.stream().filter(block -> block.language().equals("ini")).findFirst().orElseThrow();
    server =
        DemoServer.start(folder, Files.writeString(folder.resolve("tenants.ini"), tenants.text()));
    shell = new ShellBlocks(ROOT, folder, server);
    java = new JavaBlocks(folder);
  }

  @AfterAll
  void end() throws Exception {
    if (java != null) {
      java.close();
    }
    if (server != null) {
      server.close();
    }
  }

  private static List<Path> pages() throws IOException {
    try (Stream<Path> files = Files.list(DOCS)) {
      return files.filter(file -> file.toString().endsWith(".md")).sorted().toList();
    }
  }

  @TestFactory
  Stream<DynamicTest> block() {
    assertFalse(blocks.isEmpty());
    return blocks.stream()
        .map(block ->
            DynamicTest.dynamicTest(block.where() + " " + block.language(), () -> check(block)));
  }

  private void check(Block block) throws Exception {
    switch (block.language()) {
      case "sh" -> shell.check(block);
      case "java" -> java.check(block);
      case "xml" -> checkArtifacts(block);
      case "ini" ->
          assertEquals(
              blocks.stream().filter(b -> b.language().equals("ini")).toList(),
              List.of(block),
              "one is run");
      case "text" -> {} // what a reader does not type
      default -> throw new AssertionError("language unknown: at=" + block.where());
    }
  }

  /** Artifacts that readers are told to depend on are made by this build. */
  private static void checkArtifacts(Block block) throws IOException {
    List<String> made = new ArrayList<>();
    Matcher modules =
        Pattern.compile("<module>([^<]*)<").matcher(Files.readString(ROOT.resolve("pom.xml")));
    while (modules.find()) {
      String pom = Files.readString(ROOT.resolve(modules.group(1)).resolve("pom.xml"));
      Matcher own = ARTIFACT.matcher(pom.substring(Math.max(0, pom.indexOf("</parent>"))));
      assertTrue(own.find());
      made.add(own.group(1));
    }
    Matcher wanted = ARTIFACT.matcher(block.text());
    while (wanted.find()) {
      assertTrue(
          made.contains(wanted.group(1)),
          () -> "no such artifact: at=" + block.where() + " artifact=" + wanted.group(1));
    }
  }

  @Test
  void links_leadToFilesThatAreThere() throws IOException {
    int nrLinks = 0;
    for (Path page : pages()) {
      Matcher link = LINK.matcher(Files.readString(page));
      while (link.find()) {
        URI target = URI.create(link.group(1));
        if (!target.isAbsolute()) {
          nrLinks++;
          assertTrue(Files.exists(DOCS.resolve(target.getPath())), page + " links to " + target);
        }
      }
    }
    assertTrue(nrLinks > 0);
  }

  // ---- that a broken block is found

  private static Block only(String markdown) {
    List<Block> found = Block.parse("broken.md", markdown);
    assertEquals(1, found.size());
    return found.getFirst();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "./memcg4j tre",
        "./memcg4j tree --bogus",
        "./memcg4j cat tenants/nobody/memory.max",
        "./memcg4j set tenants/greedy/memory.max lots",
        "./memcg4j demo --bogus",
        "./memcg4j bench bogus",
        "./memcg4j bench kmalloc --bogus",
        "jcmd PID Bogus.command",
        "rm -r something"
      })
  void brokenCommand_fails(String command) {
    Block broken = only("```sh\n" + command + "\n```\n");
    assertThrows(AssertionError.class, () -> check(broken));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "MemCgroup root = MemCgroup.stem();",
        "// Broken.java\nvoid main() { int x = \"text\"; }",
        "// Broken.java\nvoid main() { throw new IllegalStateException(); }",
        "// Broken.java\nvoid begin() {}"
      })
  void brokenJava_fails(String code) {
    Block broken = only("```java\n" + code + "\n```\n");
    assertThrows(AssertionError.class, () -> check(broken));
  }

  @Test
  void otherOutput_fails_andOtherNumbersDoNot() throws Exception {
    String list = "```sh\n./memcg4j list\n```\n\n```output\n%s\n```\n";
    check(only(list.formatted("PID CONSOLE NAME\n1 http://127.0.0.1:1/ memcg4j serve")));
    Block broken = only(list.formatted("PID CONSOLE NAME\n1 http://127.0.0.1:1/ memcg4j bogus"));
    assertThrows(AssertionError.class, () -> check(broken));
    Block turned = only(list.formatted("1 http://127.0.0.1:1/ memcg4j serve\nPID CONSOLE NAME"));
    assertThrows(AssertionError.class, () -> check(turned));
  }

  @Test
  void unknownLanguageAndMissingArtifact_fail() {
    assertThrows(AssertionError.class, () -> check(only("```bash\nls\n```\n")));
    Block broken = only("```xml\n<artifactId>memcg4j-bogus</artifactId>\n```\n");
    assertThrows(AssertionError.class, () -> check(broken));
    assertThrows(IllegalArgumentException.class, () -> Block.parse("open.md", "```sh\nls\n"));
  }
}
