package io.memcg4j.percpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class PerCpuTest {
  private final CpuSlots slots = CpuSlots.create(2, 1);
  private final PerCpu<String> perCpu = new PerCpu<>(slots, index -> "value " + index);

  @Test
  void get_everySlot_isTheOneMadeForIt() {
    for (int i = 0; i < slots.nrSlots(); i++) {
      assertEquals("value " + i, perCpu.get(i));
      assertSame(perCpu.get(i), perCpu.get(slots.slot(i)));
    }
  }

  @Test
  void forEach_visitsAllInOrder() {
    List<String> seen = new ArrayList<>();
    perCpu.forEach(seen::add);
    assertEquals(List.of("value 0", "value 1", "value 2"), seen);
  }

  @Test
  void get_noSuchSlot_throws() {
    assertThrows(IndexOutOfBoundsException.class, () -> perCpu.get(3));
    assertThrows(IndexOutOfBoundsException.class, () -> perCpu.get(slots.overflow()));
  }
}
