package org.apache.arrow.memory.unsafe;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.invoke.MethodHandle;

/** The C library's allocator, called as a Java program would call it. */
@SuppressWarnings("restricted")
public final class Malloc {
  private static final MethodHandle MALLOC;
  private static final MethodHandle FREE;

  static {
    Linker linker = Linker.nativeLinker();
    MALLOC =
        linker.downcallHandle(
            linker.defaultLookup().findOrThrow("malloc"),
            FunctionDescriptor.of(JAVA_LONG, JAVA_LONG));
    FREE =
        linker.downcallHandle(
            linker.defaultLookup().findOrThrow("free"), FunctionDescriptor.ofVoid(JAVA_LONG));
  }

  /** All instances are alike. */
  public Malloc() {}

  /**
   * Allocates.
   *
   * @param nrBytes how much
   * @return an address; 0 if refused
   */
  public long allocate(long nrBytes) {
    try {
      return (long) MALLOC.invokeExact(nrBytes);
    } catch (Throwable t) {
      throw new AssertionError("downcall failed", t);
    }
  }

  /**
   * Frees.
   *
   * @param address what {@link #allocate} returned
   */
  public void free(long address) {
    try {
      FREE.invokeExact(address);
    } catch (Throwable t) {
      throw new AssertionError("downcall failed", t);
    }
  }
}
