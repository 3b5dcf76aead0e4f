package io.memcg4j.docs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import java.lang.reflect.Constructor;
import java.lang.reflect.Field;
import java.lang.reflect.Member;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.Type;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The public types and members of each published package are those that {@code docs/api} lists, so
 * that none comes, goes or changes unnoticed. {@code -Dmemcg4j.api.write=true} writes the lists
 * anew.
 */
final class ApiTest {
  private static final Path LISTS = Path.of("api");

  /** Types with members of every kind, to see that the list tells them apart. */
  public abstract static class Sample<T extends Comparable<T>> implements AutoCloseable {
    public static final int CONSTANT = 1;
    protected T value;
    int hidden;

    protected Sample(T value) {
      this.value = value;
      hidden = CONSTANT;
    }

    /** Not for others. */
    int hiddenMethod() {
      return hidden;
    }

    @Override
    public abstract void close() throws IllegalStateException;
  }

  private static boolean isVisible(Member member) {
    int modifiers = member.getModifiers();
    return (Modifier.isPublic(modifiers) || Modifier.isProtected(modifiers))
        && !member.isSynthetic();
  }

  private static boolean isVisible(Class<?> type) {
    for (Class<?> at = type; at != null; at = at.getEnclosingClass()) {
      if (!Modifier.isPublic(at.getModifiers()) && !Modifier.isProtected(at.getModifiers())) {
        return false;
      }
    }
    return !type.isAnonymousClass() && !type.isLocalClass() && !type.isSynthetic();
  }

  private static String names(Type[] types) {
    return Arrays.stream(types).map(Type::getTypeName).sorted().collect(Collectors.joining(", "));
  }

  /** A line for the type and one for each member that others may use, in a fixed order. */
  private static List<String> linesOf(Class<?> type) {
    Set<String> members = new TreeSet<>();
    addMembers(type, members);
    for (Constructor<?> constructor : type.getDeclaredConstructors()) {
      if (isVisible(constructor)) {
        members.add("  " + constructor.toGenericString());
      }
    }
    // What comes from a superclass that nobody else can name is the type's own to its users.
    for (Class<?> above = type.getSuperclass();
        above != null && !isVisible(above);
        above = above.getSuperclass()) {
      addMembers(above, members);
    }
    StringBuilder head = new StringBuilder(type.toGenericString());
    Type above = type.getGenericSuperclass();
    if (above != null && above != Object.class) {
      head.append(" extends ").append(above.getTypeName());
    }
    if (type.getInterfaces().length > 0) {
      head.append(type.isInterface() ? " extends " : " implements ")
          .append(names(type.getGenericInterfaces()));
    }
    List<String> lines = new ArrayList<>(List.of(head.toString()));
    lines.addAll(members);
    return lines;
  }

  private static void addMembers(Class<?> type, Set<String> members) {
    for (Field field : type.getDeclaredFields()) {
      if (isVisible(field)) {
        members.add("  " + field.toGenericString());
      }
    }
    for (Method method : type.getDeclaredMethods()) {
      if (isVisible(method) && !method.isBridge()) {
        members.add("  " + method.toGenericString());
      }
    }
  }

  private static List<String> listOf(String lastName) throws ClassNotFoundException {
    String name = "io.memcg4j." + lastName;
    Set<String> types = new TreeSet<>();
    for (JavaClass type :
        new ClassFileImporter()
            .withImportOption(new ImportOption.DoNotIncludeTests())
            .importPackages(name)) {
      if (type.getPackageName().equals(name)) {
        types.add(type.getName());
      }
    }
    List<String> lines = new ArrayList<>();
    for (String type : types) {
      Class<?> loaded = Class.forName(type, false, ApiTest.class.getClassLoader());
      if (isVisible(loaded)) {
        lines.addAll(linesOf(loaded));
      }
    }
    return lines;
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "percpu",
        "memcg",
        "objcg",
        "slab",
        "leak",
        "caffeine",
        "console",
        "context",
        "flamegraph",
        "jmx",
        "junit",
        "leakmeters",
        "micrometer",
        "netty",
        "resilience4j",
        "servlet"
      })
  void api_isWhatItsListSays(String lastName) throws Exception {
    List<String> found = listOf(lastName);
    assertTrue(found.size() > 1, () -> "hardly anything is public: " + found);
    Path list = LISTS.resolve(lastName + ".txt");
    if (Boolean.getBoolean("memcg4j.api.write")) {
      Files.createDirectories(LISTS);
      Files.write(list, found);
    }
    Set<String> gone = new TreeSet<>(Files.readAllLines(list));
    Set<String> come = new TreeSet<>(found);
    come.removeAll(gone);
    gone.removeAll(new TreeSet<>(found));
    assertTrue(
        gone.isEmpty() && come.isEmpty(),
        () ->
            "the public API of "
                + lastName
                + " is not that of "
                + list
                + ". Gone or changed breaks users: say so in CHANGELOG.md. Then run"
                + " ./memcg4j test -pl docs -am -Dtest=ApiTest"
                + " -Dmemcg4j.api.write=true\n  gone: "
                + String.join("\n        ", gone)
                + "\n  come: "
                + String.join("\n        ", come));
    assertEquals(Files.readAllLines(list), found, "order");
  }

  @Test
  void linesOf_sample_areItsVisibleMembers() {
    String sample = Sample.class.getName();
    assertEquals(
        List.of(
            "public abstract static class "
                + sample
                + "<T extends java.lang.Comparable<T>> implements java.lang.AutoCloseable",
            "  protected T " + sample + ".value",
            "  protected " + sample + "(T)",
            "  public abstract void " + sample + ".close() throws java.lang.IllegalStateException",
            "  public static final int " + sample + ".CONSTANT"),
        linesOf(Sample.class));
  }
}
