package io.memcg4j.percpu;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.invoke.MethodHandle;
import org.jspecify.annotations.Nullable;

/**
 * On which processor the calling thread runs, by {@code sched_getcpu} of the C library: three
 * nanoseconds where that has restartable sequences (glibc 2.35), some ten more elsewhere.
 */
@SuppressWarnings("restricted")
final class CurrentCpu {
  /** When the JVM does not allow native calls, or the system has no such function. */
  static final int UNKNOWN = -1;

  private static final @Nullable MethodHandle SCHED_GETCPU = find();

  private CurrentCpu() {}

  private static @Nullable MethodHandle find() {
    // Asked, not tried: a call that is not allowed prints a warning, and this is only for speed.
    if (!CurrentCpu.class.getModule().isNativeAccessEnabled()) {
      return null;
    }
    try {
      Linker linker = Linker.nativeLinker();
      return linker
          .defaultLookup()
          .find("sched_getcpu")
          .map(function ->
              linker.downcallHandle(
                  function, FunctionDescriptor.of(JAVA_INT), Linker.Option.critical(false)))
          .orElse(null);
    } catch (UnsupportedOperationException e) {
      return null; // no linker for this system
    }
  }

  /**
   * Its number, which may be above the number of processors that the JVM has; old as soon as it is
   * known.
   *
   * @return at least 0, or {@link #UNKNOWN}
   */
  static int number() {
    if (SCHED_GETCPU == null) {
      return UNKNOWN;
    }
    try {
      return (int) SCHED_GETCPU.invokeExact();
    } catch (Throwable t) {
      throw new AssertionError("sched_getcpu throws nothing", t);
    }
  }
}
