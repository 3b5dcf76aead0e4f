package io.memcg4j.benchmarks;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;

/** What the JDK itself has: an arena for each object, or a direct buffer. */
final class JdkPeer extends Peer {
  /** Which of them. */
  enum Kind {
    CONFINED,
    /** Its close is a handshake with all threads. */
    SHARED,
    /** Freed by the garbage collector. */
    AUTO,
    /** Freed by the garbage collector. */
    DIRECT_BUFFER
  }

  private static final int MAX_SHARED_OBJECTS = 500;
  private static final int MAX_COLLECTED_OBJECTS = 100_000;

  private final Kind kind;

  JdkPeer(Kind kind) {
    this.kind = kind;
  }

  @Override
  int maxObjects() {
    return switch (kind) {
      case CONFINED -> Integer.MAX_VALUE;
      case SHARED -> MAX_SHARED_OBJECTS;
      case AUTO, DIRECT_BUFFER -> MAX_COLLECTED_OBJECTS;
    };
  }

  @Override
  boolean isCollected() {
    return kind == Kind.AUTO || kind == Kind.DIRECT_BUFFER;
  }

  @Override
  Worker worker(int tenant) {
    return switch (kind) {
      case CONFINED -> new Closed(false);
      case SHARED -> new Closed(true);
      case AUTO -> new Collected();
      case DIRECT_BUFFER -> new DirectBuffers();
    };
  }

  /** An object: who closes it, and its memory. */
  private record Owned(Arena arena, MemorySegment memory) {}

  private static final class Closed extends ObjectWorker<Owned> {
    private final boolean shared;

    Closed(boolean shared) {
      this.shared = shared;
    }

    @Override
    Owned allocate(int size) {
      Arena arena = shared ? Arena.ofShared() : Arena.ofConfined();
      return new Owned(arena, arena.allocate(size));
    }

    @Override
    void free(Owned object) {
      object.arena().close();
    }

    @Override
    void write(Owned object, int offset) {
      object.memory().set(JAVA_BYTE, offset, (byte) 1);
    }

    @Override
    long look(Owned object) {
      return object.memory().address();
    }

    @Override
    public void close() {}
  }

  private static final class Collected extends ObjectWorker<MemorySegment> {
    @Override
    MemorySegment allocate(int size) {
      return Arena.ofAuto().allocate(size);
    }

    @Override
    void free(MemorySegment object) {}

    @Override
    void write(MemorySegment object, int offset) {
      object.set(JAVA_BYTE, offset, (byte) 1);
    }

    @Override
    long look(MemorySegment object) {
      return object.address();
    }

    @Override
    public void close() {}
  }

  private static final class DirectBuffers extends ObjectWorker<ByteBuffer> {
    @Override
    ByteBuffer allocate(int size) {
      return ByteBuffer.allocateDirect(size);
    }

    @Override
    void free(ByteBuffer object) {}

    @Override
    void write(ByteBuffer object, int offset) {
      object.put(offset, (byte) 1);
    }

    @Override
    long look(ByteBuffer object) {
      return object.capacity();
    }

    @Override
    public void close() {}
  }
}
