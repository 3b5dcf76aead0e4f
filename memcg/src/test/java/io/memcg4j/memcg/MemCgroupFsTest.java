package io.memcg4j.memcg;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

final class MemCgroupFsTest {
  private static final long MIB = 1L << 20;
  private final MemCgroup root = MemCgroup.root();
  private final MemCgroup a = root.create("tenants").create("a");
  private final MemCgroupFs fs = new MemCgroupFs(root);

  @ParameterizedTest
  @CsvSource({
    "4096, 4096",
    "4095, 0",
    "4097, 4096",
    "1, 0",
    "1M, 1048576",
    "1m, 1048576",
    "2G, 2147483648",
    "1T, 1099511627776",
    "0x2000, 8192",
    "010000, 4096",
    "' 64K ', 65536",
    "max, max",
    "9999999999999999999999, max",
    "8E, max",
    "0, 0"
  })
  void write_sizes_asTheKernelReadsThem(String text, String expected) {
    fs.write("tenants/a/memory.max", text);
    assertEquals(expected, fs.read("tenants/a/memory.max").strip());
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "-1", "1KK", "1 M", "M", "12q", "0x", "1.5G", "maximum", "٣"})
  void write_notASize_namesFileTextAndWhatIsLegal(String text) {
    IllegalArgumentException e =
        assertThrows(IllegalArgumentException.class, () -> fs.write("tenants/a/memory.high", text));
    assertTrue(e.getMessage().contains("file=memory.high"), e.getMessage());
    assertTrue(e.getMessage().contains("text=\"" + text + "\""), e.getMessage());
    assertTrue(e.getMessage().contains("legal="), e.getMessage());
    assertEquals("max", fs.read("tenants/a/memory.high").strip());
  }

  @Test
  void read_defaults() {
    assertEquals("0", fs.read("tenants/a/memory.current").strip());
    assertEquals("0", fs.read("tenants/a/memory.min").strip());
    assertEquals("0", fs.read("tenants/a/memory.low").strip());
    assertEquals("max", fs.read("tenants/a/memory.high").strip());
    assertEquals("max", fs.read("tenants/a/memory.max").strip());
    assertEquals("0", fs.read("tenants/a/memory.oom.group").strip());
    assertTrue(fs.read("tenants/a/memory.events").lines().toList().contains("oom_kill 0"));
    assertTrue(fs.read("tenants/a/memory.stat").lines().toList().contains("heap 0"));
    assertEquals(
        List.of(
            "some avg10=0.00 avg60=0.00 avg300=0.00 total=0",
            "full avg10=0.00 avg60=0.00 avg300=0.00 total=0"),
        fs.read("tenants/a/memory.pressure").strip().lines().toList());
    assertEquals(
        List.of("nr_descendants 2", "nr_dying_descendants 0"),
        fs.read("cgroup.stat").lines().toList());
  }

  @Test
  void list_filesThenGroups() {
    List<String> names = fs.list("/");
    assertEquals("cgroup.stat", names.getFirst());
    assertTrue(names.contains("memory.events.local"));
    assertEquals("tenants/", names.getLast());
    assertEquals(names.size() - 1, fs.list("/tenants/a/").size());
    assertThrows(IllegalArgumentException.class, () -> fs.list("nobody"));
  }

  @Test
  void write_protectionAndPolicy() {
    fs.write("tenants/a/memory.min", "1M");
    fs.write("tenants/a/memory.low", "2M");
    fs.write("/tenants/a/memory.oom.group", "1\n");
    assertEquals(MIB, a.min());
    assertEquals(2 * MIB, a.low());
    assertTrue(a.isOomGroup());
    assertThrows(
        IllegalArgumentException.class, () -> fs.write("tenants/a/memory.oom.group", "yes"));
  }

  @Test
  void write_reclaim_andNoBlock() {
    FakeCache cache = new FakeCache(a, 8 * MIB);
    fs.write("tenants/a/memory.reclaim", "2M");
    assertTrue(a.usage() <= 6 * MIB);
    fs.writeNoBlock("tenants/a/memory.max", "1M");
    assertTrue(a.usage() > MIB);
    fs.write("tenants/a/memory.max", "1M");
    assertTrue(a.usage() <= MIB);
    cache.charge.close();
    assertThrows(IllegalStateException.class, () -> fs.write("tenants/a/memory.reclaim", "1M"));
    assertThrows(IllegalArgumentException.class, () -> fs.write("tenants/a/memory.reclaim", "max"));
  }

  @Test
  void access_wrongWayOrNotThere_isAClearError() {
    for (String path : List.of("tenants/a/memory.swap", "nobody/memory.max", "memory.none")) {
      IllegalArgumentException e =
          assertThrows(IllegalArgumentException.class, () -> fs.read(path));
      assertTrue(e.getMessage().contains("path=" + path), e.getMessage());
    }
    assertThrows(IllegalArgumentException.class, () -> fs.write("memory.current", "1"));
    assertThrows(IllegalArgumentException.class, () -> fs.read("memory.reclaim"));
  }

  /** test_memcg_current_peak: each handle has a window of its own. */
  @Test
  void peakHandle_resetDoesNotDisturbOthers() {
    Charge charge = a.charge("x", MemoryClass.HEAP);
    charge.set(50 * MIB);
    charge.set(0);
    PeakHandle one = a.peakHandle();
    PeakHandle two = a.peakHandle();
    PeakHandle fresh = a.peakHandle();
    assertEquals(50 * MIB, one.peak());
    one.reset();
    charge.set(30 * MIB);
    charge.set(10 * MIB);
    two.reset();
    assertEquals(30 * MIB, one.peak(), "two's reset took nothing from it");
    assertEquals(10 * MIB, two.peak());
    assertEquals(50 * MIB, fresh.peak());
    charge.set(20 * MIB);
    assertEquals(30 * MIB, one.peak());
    assertEquals(20 * MIB, two.peak());
    one.close();
    charge.set(60 * MIB);
    two.close();
    assertEquals(60 * MIB, a.peak());
    assertEquals(60 * MIB, one.peak());
  }

  @Test
  void addEventListener_isToldTheNewestCounts() throws Exception {
    a.setMax(MIB);
    AtomicReference<MemoryEvents> told = new AtomicReference<>();
    CountDownLatch all = new CountDownLatch(1);
    try (AutoCloseable _ =
            root.addEventListener(events -> {
              throw new IllegalStateException("broken on purpose");
            });
        AutoCloseable _ =
            root.addEventListener(events -> {
              told.set(events);
              if (events.max() == 100) {
                all.countDown();
              }
            })) {
      Charge charge = a.charge("x", MemoryClass.HEAP);
      for (int i = 0; i < 100; i++) {
        charge.trySet(2 * MIB);
      }
      assertTrue(all.await(60, TimeUnit.SECONDS), () -> "told=" + told.get());
    }
    assertEquals(100, a.events().max());
  }
}
