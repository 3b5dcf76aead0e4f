package io.memcg4j.slab;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.Locale;

/**
 * Pages from Linux by {@code mmap}, and the one whole-address-space segment: all restricted calls
 * of this floor are here and in {@link GuardMemory}.
 *
 * <p>Address space is reserved without access rights and opened piece by piece, so that a system
 * that does not overcommit refuses at {@link #commit}, where it can be answered, and not at first
 * touch.
 */
@SuppressWarnings("restricted")
final class Mmap implements Mapper {
  /** All memory of the process, by address. */
  static final MemorySegment MEMORY = MemorySegment.NULL.reinterpret(Long.MAX_VALUE);

  private static final int PROT_NONE = 0;
  private static final int PROT_READ_WRITE = 1 | 2;
  private static final int MAP_PRIVATE_ANONYMOUS_NORESERVE = 0x02 | 0x20 | 0x4000;
  private static final int MAP_FIXED = 0x10;
  private static final int MADV_DONTNEED = 4;
  private static final long MAP_FAILED = -1L;

  private final MethodHandle mmap;
  private final MethodHandle munmap;
  private final MethodHandle mprotect;
  private final MethodHandle madvise;
  private final long pageBytes;

  Mmap() {
    String os = System.getProperty("os.name", "");
    if (!os.equals("Linux")) {
      throw new IllegalStateException(
          String.format(
              Locale.ROOT, "slab memory needs the mmap of Linux: os.name=%s legal=Linux", os));
    }
    mmap =
        function(
            "mmap",
            FunctionDescriptor.of(
                JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_LONG));
    munmap = function("munmap", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG));
    mprotect =
        function("mprotect", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_INT));
    madvise = function("madvise", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_INT));
    try {
      // 64 KiB on some aarch64 systems; there smaller pieces can be neither opened nor given back.
      pageBytes = (int) function("getpagesize", FunctionDescriptor.of(JAVA_INT)).invokeExact();
    } catch (Throwable t) {
      throw impossible(t);
    }
  }

  /**
   * Memory of ours as a segment that lives as long as a session of the JDK.
   *
   * @param address any; a multiple of the alignment that the segment shall have
   * @param session an arena of the JDK, open
   */
  static MemorySegment segment(long address, long nrBytes, Arena session) {
    return MemorySegment.ofAddress(address).reinterpret(nrBytes, session, null);
  }

  private static MethodHandle function(String name, FunctionDescriptor descriptor) {
    Linker linker = Linker.nativeLinker();
    return linker.downcallHandle(linker.defaultLookup().findOrThrow(name), descriptor);
  }

  @Override
  public long pageBytes() {
    return pageBytes;
  }

  @Override
  public long reserve(long nrBytes) {
    try {
      long address =
          (long) mmap.invokeExact(0L, nrBytes, PROT_NONE, MAP_PRIVATE_ANONYMOUS_NORESERVE, -1, 0L);
      return address == MAP_FAILED ? 0 : address;
    } catch (Throwable t) {
      throw impossible(t);
    }
  }

  @Override
  public boolean commit(long address, long nrBytes) {
    try {
      return (int) mprotect.invokeExact(address, nrBytes, PROT_READ_WRITE) == 0;
    } catch (Throwable t) {
      throw impossible(t);
    }
  }

  @Override
  public void discard(long address, long nrBytes) {
    try {
      if ((int) madvise.invokeExact(address, nrBytes, MADV_DONTNEED) != 0) {
        // Locked pages, for instance: they stay resident, but must read as zero all the same.
        MEMORY.asSlice(address, nrBytes).fill((byte) 0);
      }
    } catch (Throwable t) {
      throw impossible(t);
    }
  }

  /** A page without access rights has no memory, so advice may run across it. */
  @Override
  public boolean tryDiscard(long address, long nrBytes) {
    try {
      return (int) madvise.invokeExact(address, nrBytes, MADV_DONTNEED) == 0;
    } catch (Throwable t) {
      throw impossible(t);
    }
  }

  /** Maps afresh: pages go whether locked or not, and neighbours become one mapping again. */
  @Override
  public boolean uncommit(long address, long nrBytes) {
    try {
      return (long)
              mmap.invokeExact(
                  address, nrBytes, PROT_NONE, MAP_PRIVATE_ANONYMOUS_NORESERVE | MAP_FIXED, -1, 0L)
          == address;
    } catch (Throwable t) {
      throw impossible(t);
    }
  }

  @Override
  public void release(long address, long nrBytes) {
    try {
      int result = (int) munmap.invokeExact(address, nrBytes);
      assert result == 0 : "munmap failed: address=0x" + Long.toHexString(address);
    } catch (Throwable t) {
      throw impossible(t);
    }
  }

  /** A downcall has nothing to throw but what the JVM itself throws. */
  private static AssertionError impossible(Throwable t) {
    return new AssertionError("downcall failed", t);
  }
}
