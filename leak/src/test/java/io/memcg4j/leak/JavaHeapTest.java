package io.memcg4j.leak;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Addresses in this JVM's own heap are found, by dumps of which nothing is left. */
final class JavaHeapTest {
  // Odd numbers that no one else has, so that only what a test put there is found.
  private static final long MIN = 0x5D1C_3000_0000_0000L;
  private static final long MAX = MIN + 1000;
  private static final long IN_STATIC = MIN + 1;

  @SuppressWarnings("unused")
  private static long aStatic = IN_STATIC;

  /** What the application has; JUnit has the test. */
  private final List<Object> held = new CopyOnWriteArrayList<>();

  @TempDir Path folder = Path.of("");

  private record Entry(int hash, long address, String name) {}

  private static class Base {
    private final long inherited;

    Base(long inherited) {
      this.inherited = inherited;
    }

    long inherited() {
      return inherited;
    }
  }

  private static final class Derived extends Base {
    private final byte flag = 1;
    private final long own;

    Derived(long own, long inherited) {
      super(inherited);
      this.own = own;
    }

    @Override
    public String toString() {
      return own + " " + flag + " " + inherited();
    }
  }

  private List<Path> leftovers() throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      return files.filter(path -> !path.equals(folder)).toList();
    }
  }

  /** The space of a file without a name is in use while it is mapped. */
  private static List<String> mappedDumps() {
    try (Stream<String> maps = Files.lines(Path.of("/proc/self/maps"))) {
      return maps.filter(line -> line.contains("heap.hprof")).toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private JavaHeap heap(HeapDumper dumper) {
    return new JavaHeap(dumper, List.of(folder));
  }

  /** Hides a value from the compiler and from the stack of the test. */
  private static long plus(int n) {
    return MIN + n;
  }

  @Test
  void read_thisJvm_findsAddressesWhereverTheyAre() throws IOException {
    held.addAll(
        List.of(
            new AtomicLong(plus(11)),
            new long[] {0, plus(12), -1},
            new Entry(1, plus(13), "x"),
            Map.of("key", plus(14)),
            new Derived(plus(15), plus(16)),
            new long[][] {{plus(17)}},
            MemorySegment.ofAddress(plus(18)),
            captured(plus(19)),
            Thread.ofVirtual().unstarted(captured(plus(20)))));
    Set<Long> found = new HashSet<>();
    HeapRoots roots = heap(HeapDumper.ofThisJvm()).read(MIN, MAX, found::add, Pace.FULL);
    Set<Long> expected = new HashSet<>(List.of(IN_STATIC));
    for (int n = 11; n <= 20; n++) {
      expected.add(plus(n));
    }
    expected.forEach(value -> assertTrue(found.contains(value), "missing " + (value - MIN)));
    assertEquals(List.of(), leftovers());
    assertTrue(roots.nrObjects() > 1000, roots::toString);
    assertTrue(roots.nrLongs() > 1000, roots::toString);
    assertTrue(roots.dumpBytes() > 1 << 20, roots::toString);
    assertTrue(roots.dumpNanos() > 0 && roots.parseNanos() > 0, roots::toString);
    assertTrue(roots.nrAddresses() >= expected.size(), roots::toString);
  }

  private static Runnable captured(long address) {
    return () -> {
      if (address == 0) {
        throw new AssertionError();
      }
    };
  }

  @Test
  void read_nativeMemory_isFoundBySegmentSliceAndBuffer() {
    try (Arena arena = Arena.ofShared()) {
      MemorySegment segment = arena.allocate(4096, 4096);
      long base = segment.address();
      held.add(segment.asSlice(128, 16));
      held.add(segment.asSlice(256, 16).asByteBuffer());
      Set<Long> found = new HashSet<>();
      heap(HeapDumper.ofThisJvm()).read(base, base + 4096, found::add, Pace.FULL);
      assertTrue(found.contains(base + 128), found::toString);
      assertTrue(found.contains(base + 256), found::toString);
    }
    ByteBuffer direct = ByteBuffer.allocateDirect(64);
    held.add(direct);
    long address = MemorySegment.ofBuffer(direct).address();
    Set<Long> found = new HashSet<>();
    heap(HeapDumper.ofThisJvm()).read(address, address + 64, found::add, Pace.FULL);
    assertTrue(found.contains(address), found::toString);
  }

  @Test
  void read_deadObjects_areNotFound() {
    Set<Long> found = new HashSet<>();
    for (int i = 0; i < 100; i++) {
      held.add(new AtomicLong(plus(500)));
    }
    held.clear();
    heap(HeapDumper.ofThisJvm()).read(MIN + 500, MAX, found::add, Pace.FULL);
    assertEquals(Set.of(), found);
  }

  /** The scanner's own objects name every block; a test's in the same package are the user's. */
  @Test
  void read_ownMetadata_isLeftOut() {
    LongList own = new LongList();
    own.add(plus(600));
    held.add(own);
    held.add(new HeapRoots(plus(601), 0, 0, 0, 0, 0));
    held.add(new Entry(1, plus(602), ""));
    Set<Long> found = new HashSet<>();
    heap(HeapDumper.ofThisJvm()).read(MIN + 600, MIN + 700, found::add, Pace.FULL);
    assertEquals(Set.of(MIN + 602), found);
  }

  @Test
  void isMetadata_isExact() {
    OwnMetadata metadata = new OwnMetadata();
    for (String own :
        List.of(
            "io/memcg4j/slab/Slab",
            "io.memcg4j.slab.Word",
            "io/memcg4j/slab/StackDepot$Trace",
            "io/memcg4j/percpu/CpuSlot",
            "io/memcg4j/memcg/MemCgroup",
            "io/memcg4j/objcg/ObjCgroup",
            "io/memcg4j/leak/LongList")) {
      assertTrue(metadata.test(own), own);
    }
    for (String foreign :
        List.of(
            "io/memcg4j/leak/JavaHeapTest",
            "io/memcg4j/leak/JavaHeapTest$Entry",
            "io/memcg4j/slab/NoSuchClass",
            "io/memcg4j/slab/netty/Buffer",
            "io/memcg4j/benchmarks/Main",
            "io/memcg4jx/slab/Slab",
            "jdk/internal/foreign/NativeMemorySegmentImpl",
            "Slab",
            "")) {
      assertFalse(metadata.test(foreign), foreign);
    }
  }

  @Test
  void read_diskFull_isAClearErrorAndLeavesNothing() throws IOException {
    HeapDumper full =
        file -> {
          Files.write(file, new byte[1000]);
          throw new IOException("No space left on device");
        };
    HeapDumpException e =
        assertThrows(HeapDumpException.class, () -> heap(full).read(MIN, MAX, v -> {}, Pace.FULL));
    String message = String.valueOf(e.getMessage());
    assertTrue(message.contains("No space left on device"), message);
    assertTrue(message.contains("folder=" + folder), message);
    assertEquals(List.of(), leftovers());
  }

  @Test
  void read_refusedOrUnsupportedOrNoFile_isAClearErrorAndLeavesNothing() throws IOException {
    List<HeapDumper> bad =
        List.of(
            file -> {
              throw new HeapDumpException("heap dump unsupported: vm=Other");
            },
            file -> {
              throw new SecurityException("refused");
            },
            file -> {
              throw new NoClassDefFoundError("com/sun/management/HotSpotDiagnosticMXBean");
            },
            file -> {});
    for (HeapDumper dumper : bad) {
      assertThrows(HeapDumpException.class, () -> heap(dumper).read(MIN, MAX, v -> {}, Pace.FULL));
      assertEquals(List.of(), leftovers());
    }
  }

  /**
   * What is left of the one before is gone, whether it was read or not; then the next is dumped.
   */
  @Test
  void read_afterOthers_nothingIsMapped() throws IOException {
    List<List<String>> mapped = new ArrayList<>();
    HeapDumper looking =
        file -> {
          mapped.add(mappedDumps());
          if (mapped.size() == 2) {
            Files.write(file, new byte[1000]);
          } else {
            HeapDumper.ofThisJvm().dump(file);
          }
        };
    heap(looking).read(MIN, MAX, v -> assertEquals(1, mappedDumps().size()), Pace.FULL);
    assertThrows(HeapDumpException.class, () -> heap(looking).read(MIN, MAX, v -> {}, Pace.FULL));
    heap(looking).read(MIN, MAX, v -> {}, Pace.FULL);
    assertEquals(List.of(List.of(), List.of(), List.of()), mapped);
    assertEquals(List.of(), leftovers());
  }

  @Test
  void read_damagedDump_isAClearErrorAndLeavesNothing() throws IOException {
    HeapDumper damaged = file -> Files.write(file, new byte[1000]);
    assertThrows(HeapDumpException.class, () -> heap(damaged).read(MIN, MAX, v -> {}, Pace.FULL));
    assertEquals(List.of(), leftovers());
  }

  @Test
  void read_missingFolder_isAClearError() {
    JavaHeap heap = new JavaHeap(file -> {}, List.of(folder.resolve("missing")));
    assertThrows(HeapDumpException.class, () -> heap.read(MIN, MAX, v -> {}, Pace.FULL));
  }

  @Test
  void read_cancelled_leavesNothing() throws IOException {
    AtomicInteger nrDumps = new AtomicInteger();
    HeapDumper counting =
        file -> {
          nrDumps.incrementAndGet();
          HeapDumper.ofThisJvm().dump(file);
        };
    assertThrows(
        CancellationException.class,
        () -> heap(counting).read(MIN, MAX, v -> {}, new Pace(100, () -> true)));
    assertEquals(0, nrDumps.get());
    assertThrows(
        CancellationException.class,
        () -> heap(counting).read(MIN, MAX, v -> {}, new Pace(100, () -> nrDumps.get() > 0)));
    assertEquals(1, nrDumps.get());
    assertEquals(List.of(), leftovers());
  }

  /** A dump holds private data: nobody else may read it while it is being written. */
  @Test
  void read_dumpIsInAFolderOfTheUserAlone() {
    List<String> permissions = new ArrayList<>();
    HeapDumper looking =
        file -> {
          Path parent = java.util.Objects.requireNonNull(file.getParent());
          permissions.add(
              java.nio.file.attribute.PosixFilePermissions.toString(
                  Files.getPosixFilePermissions(parent)));
          throw new IOException("seen");
        };
    assertThrows(HeapDumpException.class, () -> heap(looking).read(MIN, MAX, v -> {}, Pace.FULL));
    assertEquals(List.of("rwx------"), permissions);
  }

  /** What an application without the module sees. */
  @Test
  void dump_moduleMissing_saysWhatToDo() throws Exception {
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--limit-modules=java.base",
                "-cp",
                System.getProperty("java.class.path"),
                JavaHeapTest.class.getName() + "$WithoutManagement",
                folder.toString())
            .redirectErrorStream(true)
            .start();
    String output =
        new String(
            process.getInputStream().readAllBytes(), java.nio.charset.StandardCharsets.UTF_8);
    assertTrue(process.waitFor(30, TimeUnit.SECONDS), output);
    assertTrue(output.contains("--add-modules=java.management"), output);
    assertEquals(List.of(), leftovers());
  }

  /** Runs in a JVM with nothing but java.base. */
  static final class WithoutManagement {
    private WithoutManagement() {}

    public static void main(String[] args) {
      JavaHeap heap = new JavaHeap(HeapDumper.ofThisJvm(), List.of(Path.of(args[0])));
      try {
        heap.read(MIN, MAX, v -> {}, Pace.FULL);
      } catch (HeapDumpException e) {
        System.out.println(e.getMessage());
      }
    }
  }
}
