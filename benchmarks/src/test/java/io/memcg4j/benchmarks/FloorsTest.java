package io.memcg4j.benchmarks;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.lang.ArchRule;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Each floor uses floors below it and the JDK's base, and nothing else. */
final class FloorsTest {
  private static final String ROOT = "io.memcg4j";

  private static final String[] JVM_MANAGEMENT = {"java.lang.management..", "javax.management.."};

  /** From the lowest up. */
  private static final List<String> FLOORS = List.of("percpu", "memcg", "objcg", "slab", "leak");

  @ParameterizedTest
  @ValueSource(strings = {"percpu", "memcg", "objcg", "slab", "leak"})
  void floor_usesOnlyFloorsBelow(String floor) {
    rule(ROOT, FLOORS, floor).check(classesBelow(ROOT + "." + floor));
  }

  /**
   * The one part of the JDK outside its base, for the one thing that only the JVM can do: write a
   * heap dump. Its module is optional at run time, so one class alone may name it.
   */
  @Test
  void leak_namesTheJvmsManagementInOneClassOnly() {
    classes()
        .that()
        .resideInAPackage(ROOT + "..")
        .and()
        .doNotHaveSimpleName("HotSpotDump")
        .should()
        .onlyDependOnClassesThat()
        .resideOutsideOfPackages(JVM_MANAGEMENT)
        .check(classesBelow(ROOT + ".leak"));
  }

  @Test
  void rule_floorThatUsesOneAbove_fails() {
    String root = "io.memcg4j.benchmarks.canary";
    List<String> floors = List.of("low", "high");
    AssertionError e =
        assertThrows(
            AssertionError.class,
            () -> rule(root, floors, "low").check(classesBelow(root + ".low")));
    assertTrue(String.valueOf(e.getMessage()).contains("canary.high.High"), e::toString);
    rule(root, floors, "high").check(classesBelow(root + ".high"));
  }

  private static JavaClasses classesBelow(String name) {
    return new ClassFileImporter().importPackages(name);
  }

  private static ArchRule rule(String root, List<String> floors, String floor) {
    List<String> allowed = new ArrayList<>(List.of("java..", "jdk.jfr..", "org.jspecify.."));
    if (floor.equals("leak")) {
      allowed.addAll(List.of(JVM_MANAGEMENT));
    }
    for (String below : floors.subList(0, floors.indexOf(floor) + 1)) {
      allowed.add(root + "." + below + "..");
    }
    return classes()
        .that()
        .resideInAPackage(root + "." + floor + "..")
        .should()
        .onlyDependOnClassesThat()
        .resideInAnyPackage(allowed.toArray(String[]::new));
  }
}
