package io.memcg4j.slab;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.memcg4j.memcg.MemCgroup;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/**
 * Pages whose neighbours must not be touched: page 1, 3, 5 … can hold an object, all others, and
 * those without an object, raise an {@link InternalError} in whoever touches them.
 *
 * <p>A page of a file beyond its end raises SIGBUS, which HotSpot turns into that error in
 * interpreted code, in compiled code and in bulk copies; a page without access rights would raise
 * SIGSEGV and end the JVM. Both files are in memory and have no name.
 */
@SuppressWarnings("restricted")
final class GuardMemory {
  private static final int PROT_NONE = 0;
  private static final int PROT_READ_WRITE = 1 | 2;
  private static final int MAP_PRIVATE_ANONYMOUS_NORESERVE = 0x02 | 0x20 | 0x4000;
  private static final int MAP_SHARED_FIXED = 0x01 | 0x10;
  private static final int MFD_CLOEXEC = 1;
  private static final long PAGE = MemCgroup.PAGE_SIZE;

  private final MethodHandle mmap;
  private final MethodHandle munmap;
  private final MethodHandle closeFile;
  private final int pages;
  private final int nothing;
  private final int nrObjects;
  private final long base;

  private GuardMemory(int nrObjects) throws Throwable {
    this.nrObjects = nrObjects;
    mmap =
        function(
            "mmap",
            FunctionDescriptor.of(
                JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_LONG));
    munmap = function("munmap", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG));
    closeFile = function("close", FunctionDescriptor.of(JAVA_INT, JAVA_INT));
    pages = memoryFile("memcg4j-guarded", nrObjects * PAGE);
    nothing = memoryFile("memcg4j-guard", 0);
    base = (long) mmap.invokeExact(0L, bytes(), PROT_NONE, MAP_PRIVATE_ANONYMOUS_NORESERVE, -1, 0L);
    if (pages < 0 || nothing < 0 || base == -1) {
      throw new IllegalStateException("guarded memory refused by the OS: nrObjects=" + nrObjects);
    }
    for (int page = 0; page < 2 * nrObjects + 1; page++) {
      map(base + page * PAGE, nothing, 0);
    }
  }

  /**
   * Pages for so many objects.
   *
   * @throws IllegalStateException if this OS has nothing of the kind
   */
  static GuardMemory create(int nrObjects) {
    try {
      return new GuardMemory(nrObjects);
    } catch (IllegalStateException e) {
      throw e;
    } catch (Throwable t) {
      throw new IllegalStateException("guarded memory needs memfd_create of Linux", t);
    }
  }

  private static MethodHandle function(String name, FunctionDescriptor descriptor) {
    Linker linker = Linker.nativeLinker();
    return linker.downcallHandle(linker.defaultLookup().findOrThrow(name), descriptor);
  }

  private static int memoryFile(String name, long nrBytes) throws Throwable {
    MethodHandle create =
        function("memfd_create", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT));
    MethodHandle truncate =
        function("ftruncate", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_LONG));
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment text = arena.allocateFrom(name);
      int file = (int) create.invokeExact(text, MFD_CLOEXEC);
      return file < 0 || (int) truncate.invokeExact(file, nrBytes) != 0 ? -1 : file;
    }
  }

  private void map(long address, int file, long offset) {
    try {
      long result =
          (long) mmap.invokeExact(address, PAGE, PROT_READ_WRITE, MAP_SHARED_FIXED, file, offset);
      if (result != address) {
        throw new IllegalStateException("guarded page refused by the OS");
      }
    } catch (RuntimeException e) {
      throw e;
    } catch (Throwable t) {
      throw new AssertionError("downcall failed", t);
    }
  }

  int nrObjects() {
    return nrObjects;
  }

  private long bytes() {
    return (2L * nrObjects + 1) * PAGE;
  }

  /** The page of an object. */
  long page(int index) {
    return base + (2L * index + 1) * PAGE;
  }

  /** The object whose page, or whose guard to the left of it, an address is in; -1 if in none. */
  int indexOf(long address) {
    long page = Math.floorDiv(address - base, PAGE);
    return page < 0 || page > 2L * nrObjects ? -1 : (int) Math.min(nrObjects - 1, page / 2);
  }

  boolean contains(long address) {
    return address >= base && address < base + bytes();
  }

  /** Lets the page of an object be touched. */
  void open(int index) {
    map(page(index), pages, index * PAGE);
  }

  /** Any touch of the object's page fails from now on. */
  void shut(int index) {
    map(page(index), nothing, 0);
  }

  /** Unmaps everything; addresses must not be touched any more. */
  void release() {
    try {
      int result = (int) munmap.invokeExact(base, bytes());
      result |= (int) closeFile.invokeExact(pages);
      result |= (int) closeFile.invokeExact(nothing);
      assert result == 0 : "guarded memory not released";
    } catch (Throwable t) {
      throw new AssertionError("downcall failed", t);
    }
  }
}
