package io.memcg4j.leak;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Reads memory of this process: slab memory as it is, foreign memory by a system call that reports
 * a missing page instead of dying of it. All restricted calls of this module are in this class.
 */
@SuppressWarnings("restricted")
final class Memory {
  /*
   * Origin     process_vm_readv on the own process. Threads, and so the process id, come by the
   *            standard API.
   */
  /** All memory of the process, by address. */
  static final MemorySegment ALL = MemorySegment.NULL.reinterpret(Long.MAX_VALUE);

  private static final @Nullable MethodHandle PROCESS_VM_READV = readv();
  private static final int PID = (int) ProcessHandle.current().pid();
  private static final int IOVEC_LENGTH = 8;
  private static final int IOVEC_BYTES = 16;

  private Memory() {}

  private static @Nullable MethodHandle readv() {
    Linker linker = Linker.nativeLinker();
    Optional<MemorySegment> function = linker.defaultLookup().find("process_vm_readv");
    return function.isEmpty()
        ? null
        : linker.downcallHandle(
            function.get(),
            FunctionDescriptor.of(
                JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG, ADDRESS, JAVA_LONG, JAVA_LONG));
  }

  /** Bytes that {@link #read} needs as its vectors. */
  static long vectorBytes() {
    return 2L * IOVEC_BYTES;
  }

  /**
   * Copies foreign memory.
   *
   * @param into as long as what is to be read; native
   * @param vectors native, {@link #vectorBytes()} long
   * @return bytes copied: fewer than asked for if a page is missing; 0 if the first one is, or if
   *     the system does not allow the call
   */
  static long read(long address, MemorySegment into, MemorySegment vectors) {
    if (PROCESS_VM_READV == null) {
      return 0;
    }
    MemorySegment remote = vectors.asSlice(IOVEC_BYTES);
    vectors.set(JAVA_LONG, 0, into.address());
    vectors.set(JAVA_LONG, IOVEC_LENGTH, into.byteSize());
    remote.set(JAVA_LONG, 0, address);
    remote.set(JAVA_LONG, IOVEC_LENGTH, into.byteSize());
    try {
      long copied = (long) PROCESS_VM_READV.invokeExact(PID, vectors, 1L, remote, 1L, 0L);
      return Math.max(0, copied);
    } catch (Throwable t) {
      throw new AssertionError("downcall failed", t);
    }
  }
}
