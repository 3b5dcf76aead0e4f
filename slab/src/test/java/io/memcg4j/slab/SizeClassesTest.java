package io.memcg4j.slab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The classes of kmalloc. */
final class SizeClassesTest {
  /** kmalloc_info of Linux, up to the largest size that comes from a cache here. */
  private static final List<Integer> KERNEL_CLASSES =
      List.of(8, 16, 32, 64, 96, 128, 192, 256, 512, 1024, 2048, 4096, 8192);

  @Test
  void index_everySize_isTheSmallestClassThatFits() {
    for (int size = 1; size <= SizeClasses.MAX_SIZE; size++) {
      int index = SizeClasses.index(size);
      assertTrue(index >= 0 && index < SizeClasses.COUNT, "size=" + size + " index=" + index);
      assertTrue(SizeClasses.size(index) >= size, "size=" + size + " index=" + index);
      assertTrue(
          index == 0 || SizeClasses.size(index - 1) < size, "size=" + size + " index=" + index);
    }
  }

  @Test
  void size_everyIndex_isAscendingAndItsOwnClass() {
    int previous = 0;
    for (int index = 0; index < SizeClasses.COUNT; index++) {
      int size = SizeClasses.size(index);
      assertTrue(size > previous, "index=" + index);
      assertEquals(0, size % 8, "index=" + index);
      assertEquals(index, SizeClasses.index(size));
      assertEquals(index, SizeClasses.index(previous + 1));
      previous = size;
    }
    assertEquals(SizeClasses.MAX_SIZE, previous);
  }

  @Test
  void size_kernelsClasses_areAmongThem() {
    List<Integer> sizes = new ArrayList<>();
    for (int index = 0; index < SizeClasses.COUNT; index++) {
      sizes.add(SizeClasses.size(index));
    }
    assertTrue(sizes.containsAll(KERNEL_CLASSES), sizes::toString);
  }

  @Test
  void size_anyRequest_wastesAtMostAFifth() {
    for (int size = 65; size <= SizeClasses.MAX_SIZE; size++) {
      int given = SizeClasses.size(SizeClasses.index(size));
      assertTrue(given - size < given / 5.0, "size=" + size + " given=" + given);
    }
  }
}
