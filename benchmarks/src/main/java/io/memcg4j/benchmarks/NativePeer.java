package io.memcg4j.benchmarks;

import org.apache.arrow.memory.unsafe.Malloc;
import org.lwjgl.system.jemalloc.JEmalloc;

/** Allocators of C, called from Java: no group, no owner, no check. */
final class NativePeer extends Peer {
  private final boolean jemalloc;

  /** LWJGL's jemalloc, or the C library's allocator through the foreign function interface. */
  NativePeer(boolean jemalloc) {
    this.jemalloc = jemalloc;
  }

  /** Why LWJGL's is not there, else "". */
  static String whyNoJemalloc() {
    String system = System.getProperty("os.name") + "/" + System.getProperty("os.arch");
    String path =
        switch (system) {
          case "Linux/amd64" -> "/linux/x64/org/lwjgl/jemalloc/libjemalloc.so";
          case "Linux/aarch64" -> "/linux/arm64/org/lwjgl/jemalloc/libjemalloc.so";
          default -> "/" + system;
        };
    boolean found = NativePeer.class.getResource(path) != null;
    return found ? "" : "no natives of org.lwjgl:lwjgl-jemalloc: system=" + system;
  }

  @Override
  Worker worker(int tenant) {
    return jemalloc ? new Lwjgl() : new Libc();
  }

  private static final class Libc extends AddressWorker {
    private static final Malloc LIBC = new Malloc();

    @Override
    long allocate(long size) {
      return LIBC.allocate(size);
    }

    @Override
    long allocateZeroed(long size) {
      return LIBC.allocateZeroed(size);
    }

    @Override
    long allocateAligned(long size, long alignment) {
      return LIBC.allocateAligned(size, alignment);
    }

    @Override
    long reallocate(long address, long size) {
      return LIBC.reallocate(address, size);
    }

    @Override
    void free(long address) {
      LIBC.free(address);
    }

    @Override
    public void close() {}
  }

  private static final class Lwjgl extends AddressWorker {
    @Override
    long allocate(long size) {
      return JEmalloc.nje_malloc(size);
    }

    @Override
    long allocateZeroed(long size) {
      return JEmalloc.nje_calloc(1, size);
    }

    @Override
    long allocateAligned(long size, long alignment) {
      return JEmalloc.nje_aligned_alloc(alignment, size);
    }

    @Override
    long reallocate(long address, long size) {
      return JEmalloc.nje_realloc(address, size);
    }

    @Override
    void free(long address) {
      JEmalloc.nje_free(address);
    }

    @Override
    public void close() {}
  }
}
