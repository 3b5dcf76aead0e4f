package io.memcg4j.leak;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CancellationException;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;

/**
 * The Java heap as roots: the JVM writes a dump of its live objects, and every long in it that may
 * be an address is passed on.
 *
 * <p>The dump holds what the application's objects hold, so its folder is the user's alone, and its
 * name is gone before it is read: only the memory or disk space stays until the reading ends, and
 * for as long as it takes to give it back. A crash during the dump itself can leave the file.
 */
final class JavaHeap {
  /*
   * Room       a dump writes 8 bytes for a reference and a header of 25 for an object: up to twice what
   *            the heap uses. Memory-backed storage takes memory from the container, so it is used
   *            only if the free memory is enough too.
   * Release    to give back the pages of a dump takes a third of a second for each GiB, so that is done
   *            by a thread of its own, which the next dump in this JVM waits for; by the caller where
   *            no thread can be had.
   */
  private static final Path SHARED_MEMORY = Path.of("/dev/shm");
  private static final int DUMP_FACTOR = 2;

  /** Gives back what the last dump used. */
  private static final AtomicReference<@Nullable Thread> RELEASE = new AtomicReference<>();

  private static final long SPARE_BYTES = 64L << 20;

  private final HeapDumper dumper;
  private final List<Path> folders;
  private final OwnMetadata metadata = new OwnMetadata();

  /**
   * A reader of this JVM's heap.
   *
   * @param folders where to put the dump: the first one with room, else the last one
   */
  JavaHeap(HeapDumper dumper, List<Path> folders) {
    this.dumper = dumper;
    this.folders = folders;
  }

  static JavaHeap ofThisJvm() {
    return new JavaHeap(
        HeapDumper.ofThisJvm(),
        List.of(SHARED_MEMORY, Path.of(System.getProperty("java.io.tmpdir", "/tmp"))));
  }

  /**
   * Passes on each value of the Java heap in {@code [min, max)}.
   *
   * @throws HeapDumpException if the heap cannot be dumped or the dump not be read
   * @throws CancellationException if the pace says so
   */
  HeapRoots read(long min, long max, LongConsumer sink, Pace pace) {
    awaitRelease();
    pace.check();
    Path folder = chooseFolder();
    Arena arena = Arena.ofShared();
    try {
      long start = System.nanoTime();
      MemorySegment dump = dumpInto(folder, arena);
      long dumped = System.nanoTime();
      HprofReader.Counts counts = HprofReader.read(dump, min, max, sink, metadata, pace);
      return new HeapRoots(
          dumped - start,
          System.nanoTime() - dumped,
          dump.byteSize(),
          counts.nrObjects(),
          counts.nrLongs(),
          counts.nrAddresses());
    } catch (InternalError e) {
      // A page of a mapped file that cannot be read.
      throw new HeapDumpException("heap dump unreadable: folder=" + folder, e);
    } finally {
      release(arena);
    }
  }

  private static void release(Arena arena) {
    Thread thread =
        Thread.ofPlatform()
            .daemon()
            .name("memcg4j-leak-dump-release")
            .inheritInheritableThreadLocals(false)
            .unstarted(arena::close);
    thread.setContextClassLoader(null); // of an application that may be unloaded
    try {
      thread.start();
    } catch (OutOfMemoryError e) { // the limit of threads
      arena.close();
      return;
    }
    RELEASE.set(thread);
  }

  private static void awaitRelease() {
    Thread last = RELEASE.get();
    boolean interrupted = false;
    while (last != null && last.isAlive()) {
      try {
        last.join();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  /** Dumps into a file without a name. */
  private MemorySegment dumpInto(Path folder, Arena arena) {
    Path own = null;
    Path file = null;
    try {
      own = Files.createTempDirectory(folder, "memcg4j-");
      file = own.resolve("heap.hprof");
      dumper.dump(file);
      return map(file, arena);
    } catch (IOException | RuntimeException | LinkageError e) {
      if (e instanceof HeapDumpException known) {
        throw known;
      }
      throw new HeapDumpException(
          String.format(
              Locale.ROOT,
              "heap dump failed: folder=%s freeBytes=%d cause=%s",
              folder,
              usableBytes(folder),
              e.getMessage()),
          e);
    } finally {
      delete(file);
      delete(own);
    }
  }

  /** A channel is closed under a thread that is interrupted: it is opened again then. */
  private static MemorySegment map(Path file, Arena arena) throws IOException {
    boolean wasInterrupted = Thread.interrupted();
    try {
      while (true) {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
          return channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
        } catch (ClosedByInterruptException e) {
          wasInterrupted |= Thread.interrupted();
        }
      }
    } finally {
      if (wasInterrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  private static void delete(@Nullable Path path) {
    if (path != null) {
      try {
        Files.deleteIfExists(path);
      } catch (IOException e) {
        System.getLogger(JavaHeap.class.getName())
            .log(System.Logger.Level.ERROR, "heap dump left behind: path=" + path, e);
      }
    }
  }

  private Path chooseFolder() {
    Runtime runtime = Runtime.getRuntime();
    long needed = (runtime.totalMemory() - runtime.freeMemory()) * DUMP_FACTOR + SPARE_BYTES;
    for (Path folder : folders) {
      boolean isMemory = folder.equals(SHARED_MEMORY);
      if (Files.isWritable(folder)
          && usableBytes(folder) >= needed
          && (!isMemory || FreeMemory.bytes() >= needed)) {
        return folder;
      }
    }
    return folders.getLast();
  }

  private static long usableBytes(Path folder) {
    try {
      return Files.getFileStore(folder).getUsableSpace();
    } catch (IOException e) {
      return 0;
    }
  }
}
