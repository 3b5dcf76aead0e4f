package org.apache.arrow.memory.unsafe;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.invoke.MethodHandle;

/** The C library's allocator, called as a Java program would call it. */
@SuppressWarnings("restricted")
public final class Malloc {
  private static final MethodHandle MALLOC;
  private static final MethodHandle CALLOC;
  private static final MethodHandle ALIGNED_ALLOC;
  private static final MethodHandle REALLOC;
  private static final MethodHandle FREE;

  static {
    FunctionDescriptor oneArgument = FunctionDescriptor.of(JAVA_LONG, JAVA_LONG);
    FunctionDescriptor twoArguments = FunctionDescriptor.of(JAVA_LONG, JAVA_LONG, JAVA_LONG);
    MALLOC = function("malloc", oneArgument);
    CALLOC = function("calloc", twoArguments);
    ALIGNED_ALLOC = function("aligned_alloc", twoArguments);
    REALLOC = function("realloc", twoArguments);
    FREE = function("free", FunctionDescriptor.ofVoid(JAVA_LONG));
  }

  private static MethodHandle function(String name, FunctionDescriptor descriptor) {
    Linker linker = Linker.nativeLinker();
    return linker.downcallHandle(linker.defaultLookup().findOrThrow(name), descriptor);
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
   * Allocates zeroed memory.
   *
   * @param nrBytes how much
   * @return an address; 0 if refused
   */
  public long allocateZeroed(long nrBytes) {
    try {
      return (long) CALLOC.invokeExact(1L, nrBytes);
    } catch (Throwable t) {
      throw new AssertionError("downcall failed", t);
    }
  }

  /**
   * Allocates at a multiple of a power of two.
   *
   * @param nrBytes how much
   * @param alignment a power of two
   * @return an address; 0 if refused
   */
  public long allocateAligned(long nrBytes, long alignment) {
    try {
      return (long) ALIGNED_ALLOC.invokeExact(alignment, nrBytes);
    } catch (Throwable t) {
      throw new AssertionError("downcall failed", t);
    }
  }

  /**
   * Changes the size, by another object if need be.
   *
   * @param address of an object
   * @param nrBytes its new size
   * @return an address; 0 if refused
   */
  public long reallocate(long address, long nrBytes) {
    try {
      return (long) REALLOC.invokeExact(address, nrBytes);
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
