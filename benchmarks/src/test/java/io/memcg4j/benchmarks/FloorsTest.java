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

  /** From the lowest up. */
  private static final List<String> FLOORS = List.of("percpu", "memcg", "objcg", "slab");

  @ParameterizedTest
  @ValueSource(strings = {"percpu", "memcg", "objcg", "slab"})
  void floor_usesOnlyFloorsBelow(String floor) {
    rule(ROOT, FLOORS, floor).check(classesBelow(ROOT + "." + floor));
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
