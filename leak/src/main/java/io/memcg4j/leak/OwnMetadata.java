package io.memcg4j.leak;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.percpu.CpuSlot;
import io.memcg4j.slab.Kmalloc;
import java.security.CodeSource;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Which classes are memcg4j's own metadata: their fields name every block there is, so they are no
 * references to it.
 *
 * <p>Exactly the classes that came in the same jar or folder as a floor's own, in that floor's
 * package, but for what an arena holds of its blocks, which counts as whoever holds the arena does,
 * and areas that were shown to an application. Not a test's or an application's class, even in a
 * package of that name or below it.
 */
final class OwnMetadata implements Predicate<String> {
  /** A class of each floor. */
  private static final List<Class<?>> FLOORS =
      List.of(CpuSlot.class, MemCgroup.class, ObjCgroup.class, Kmalloc.class, HeapRoots.class);

  /**
   * What is made for somebody who asks, or what only somebody who holds an arena leads to: it is
   * what the arena will free. Nothing that the floor keeps.
   */
  private static final Set<String> HANDLES =
      Set.of("io.memcg4j.slab.ConfinedArena$Held", "io.memcg4j.slab.VmallocArea");

  private final Map<String, Class<?>> floorOfPackage = new HashMap<>();
  private final Map<String, Boolean> known = new HashMap<>();

  OwnMetadata() {
    for (Class<?> floor : FLOORS) {
      floorOfPackage.put(floor.getPackageName(), floor);
    }
  }

  /**
   * Whether instances of a class are metadata.
   *
   * @param className as the JVM writes it: with dots or slashes
   */
  @Override
  public boolean test(String className) {
    String name = className.replace('/', '.');
    int end = name.lastIndexOf('.');
    Class<?> floor = end < 0 ? null : floorOfPackage.get(name.substring(0, end));
    return floor != null
        && !HANDLES.contains(name)
        && known.computeIfAbsent(name, n -> cameWith(floor, n));
  }

  private static boolean cameWith(Class<?> floor, String name) {
    // A hidden class, such as a lambda's, is named after its host with something behind a slash or
    // plus sign, and cannot be looked up; its captured values are its host's.
    String host = name;
    int lambda = name.indexOf("$$");
    if (lambda > 0) {
      host = name.substring(0, lambda);
    }
    try {
      Class<?> found = Class.forName(host, false, floor.getClassLoader());
      return Objects.equals(location(found), location(floor));
    } catch (ClassNotFoundException | LinkageError e) {
      return false;
    }
  }

  private static @Nullable Object location(Class<?> c) {
    CodeSource source = c.getProtectionDomain().getCodeSource();
    return source == null || source.getLocation() == null ? null : source.getLocation().toString();
  }
}
