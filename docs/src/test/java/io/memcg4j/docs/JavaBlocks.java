package io.memcg4j.docs;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.tools.Diagnostic;
import javax.tools.DiagnosticCollector;
import javax.tools.JavaCompiler;
import javax.tools.JavaFileObject;
import javax.tools.StandardJavaFileManager;
import javax.tools.ToolProvider;

/**
 * Compiles blocks of Java against the class path of the tests, and runs those that are programs:
 * those that begin with a comment that names their file.
 */
final class JavaBlocks implements AutoCloseable {
  private static final Pattern FILE = Pattern.compile("// (\\w+)\\.java\\n");

  /** Fragments leave imports out. */
  private static final String IMPORTS =
      """
      import com.sun.net.httpserver.*;
      import io.memcg4j.caffeine.*;
      import io.memcg4j.console.Console;
      import io.memcg4j.flamegraph.*;
      import io.memcg4j.jmx.*;
      import io.memcg4j.junit.*;
      import io.memcg4j.leak.*;
      import io.memcg4j.leakmeters.*;
      import io.memcg4j.memcg.*;
      import io.memcg4j.micrometer.*;
      import io.memcg4j.netty.*;
      import io.memcg4j.objcg.*;
      import io.memcg4j.servlet.*;
      import io.memcg4j.slab.*;
      import io.micrometer.context.*;
      import io.micrometer.core.instrument.MeterRegistry;
      import jakarta.servlet.*;
      import java.io.*;
      import java.lang.foreign.*;
      import java.nio.file.*;
      import java.time.Duration;
      import java.util.*;
      import java.util.concurrent.*;
      import org.junit.jupiter.api.Test;
      """;

  private final Path folder;
  private final JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();

  /** Knows the class path after the first block: the others are compiled in a tenth of the time. */
  private final StandardJavaFileManager files =
      compiler.getStandardFileManager(null, Locale.ROOT, StandardCharsets.UTF_8);

  /** Puts sources and classes into a folder. */
  JavaBlocks(Path folder) {
    this.folder = folder;
  }

  @Override
  public void close() throws IOException {
    files.close();
  }

  /** Fails if the block does not compile, or throws, or prints something else. */
  void check(Block block) throws IOException {
    Matcher file = FILE.matcher(block.text());
    if (file.lookingAt()) {
      block.checkOutput(run(block, file.group(1)));
    } else {
      String name =
          String.format(
              Locale.ROOT, "Fragment_%s_%d", block.page().replaceAll("\\W", "_"), block.line());
      compile(block, name, fragment(block, name));
    }
  }

  /** Members of a class if there is an annotation that only they have, statements if not. */
  private static String fragment(Block block, String name) {
    String body =
        block.text().contains("@Test")
            ? block.text()
            : "void fragment(" + block.given() + ") throws Exception {\n" + block.text() + "\n}";
    return IMPORTS + "final class " + name + " {\n" + body + "\n}\n";
  }

  private Path compile(Block block, String name, String source) throws IOException {
    Path sources = Files.createDirectories(folder.resolve(name));
    Path classes = Files.createDirectories(sources.resolve("classes"));
    Path file = Files.writeString(sources.resolve(name + ".java"), source);
    DiagnosticCollector<JavaFileObject> found = new DiagnosticCollector<>();
    List<String> options =
        List.of(
            "-proc:none",
            "-d",
            classes.toString(),
            "-cp",
            System.getProperty("java.class.path", ""));
    if (!compiler
        .getTask(null, files, found, options, null, files.getJavaFileObjects(file))
        .call()) {
      StringBuilder errors = new StringBuilder("does not compile: at=" + block.where());
      found.getDiagnostics().stream()
          .filter(diagnostic -> diagnostic.getKind() == Diagnostic.Kind.ERROR)
          .forEach(diagnostic -> errors.append('\n').append(diagnostic));
      throw new AssertionError(errors.append('\n').append(source).toString());
    }
    return classes;
  }

  private String run(Block block, String name) throws IOException {
    Path classes = compile(block, name, block.text());
    ByteArrayOutputStream printed = new ByteArrayOutputStream();
    PrintStream before = System.out;
    try (URLClassLoader loader =
            new URLClassLoader(
                new URL[] {classes.toUri().toURL()}, JavaBlocks.class.getClassLoader());
        PrintStream out = new PrintStream(printed, true, StandardCharsets.UTF_8)) {
      System.setOut(out);
      Class<?> program = loader.loadClass(name);
      var constructor = program.getDeclaredConstructor();
      constructor.setAccessible(true);
      Method main = program.getDeclaredMethod("main");
      main.setAccessible(true);
      main.invoke(constructor.newInstance());
    } catch (InvocationTargetException e) {
      throw new AssertionError("program failed: at=" + block.where(), e.getCause());
    } catch (NoSuchMethodException e) {
      throw new AssertionError("program has no main: at=" + block.where(), e);
    } catch (ReflectiveOperationException e) {
      throw new LinkageError("program cannot be started: at=" + block.where(), e);
    } finally {
      System.setOut(before);
    }
    return printed.toString(StandardCharsets.UTF_8);
  }
}
