package io.memcg4j.slab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Which of the words that wait a magazine goes on with. */
final class MagazineTest {
  private static final SlabGeometry GEOMETRY = SlabGeometry.of(0, 64);

  private final Magazine magazine = new Magazine(64);
  private final List<Word> words = new ArrayList<>();

  /** Lists a word with so many free objects. */
  private Word push(int nrFree) {
    Slab slab = new Slab(GEOMETRY, 0, 1, 1L << 40, false);
    Word word = slab.words[words.size() % slab.words.length];
    word.setFreePlain((1L << nrFree) - 1);
    magazine.pushPartial(word);
    words.add(word);
    return word;
  }

  @Test
  void popPartial_none_isNull() {
    assertNull(magazine.popPartial());
  }

  @Test
  void popPartial_isTheOneWithMostFreeObjects() {
    push(2);
    Word most = push(7);
    push(3);
    push(7); // as many, and freed later
    Word later = words.getLast();
    push(1);
    assertSame(later, magazine.popPartial());
    assertSame(most, magazine.popPartial());
    assertEquals(3, magazine.nrPartial());
    assertEquals(Word.NOT_LISTED, most.position);
  }

  @Test
  void popPartial_lastOneHasEnough_isTaken() {
    push(40);
    Word last = push(Magazine.ENOUGH_OBJECTS);
    assertSame(last, magazine.popPartial());
  }

  @Test
  void popPartial_looksAtNoMoreThanTheLastOnes() {
    Word first = push(40);
    for (int i = 1; i < Magazine.MOST_LOOKED_AT; i++) {
      push(1);
    }
    Word last = push(1);
    assertSame(last, magazine.popPartial());
    assertSame(first, magazine.popPartial(), "now it is among them");
  }

  @Test
  void popPartial_untilNoneIsLeft_takesEachOnce() {
    for (int i = 0; i < 100; i++) {
      push(1 + i * 7 % 13);
    }
    List<Word> taken = new ArrayList<>();
    for (Word word = magazine.popPartial(); word != null; word = magazine.popPartial()) {
      taken.add(word);
      for (int i = 0; i < magazine.nrPartial(); i++) {
        assertEquals(i, magazine.partial(i).position);
      }
    }
    assertEquals(100, taken.stream().distinct().count());
    assertEquals(100, taken.size());
  }
}
