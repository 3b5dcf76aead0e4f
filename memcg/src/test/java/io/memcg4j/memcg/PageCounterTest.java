package io.memcg4j.memcg;

import static org.junit.jupiter.api.Assertions.assertAll;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class PageCounterTest {
  private final PageCounter top = new PageCounter(null);
  private final PageCounter middle = new PageCounter(top);
  private final PageCounter leaf = new PageCounter(middle);
  private final PageCounter sibling = new PageCounter(middle);

  @Test
  void tryCharge_unlimited_chargesEveryLevel() {
    assertNull(leaf.tryCharge(3));
    assertNull(sibling.tryCharge(4));
    assertUsage(3, 4, 7, 7);
  }

  @Test
  void tryCharge_exactlyAtMax_succeeds() {
    middle.setMax(10);
    assertNull(leaf.tryCharge(10));
    assertUsage(10, 0, 10, 10);
  }

  @Test
  void tryCharge_onePageOverMax_leavesNothingBehind() {
    middle.setMax(10);
    assertNull(sibling.tryCharge(10));
    assertSame(middle, leaf.tryCharge(1));
    assertUsage(0, 10, 10, 10);
    assertEquals(0, leaf.peak());
  }

  @Test
  void reserveAndCommit_refusedAtTop_givesLowerLevelsBack() {
    top.setMax(5);
    assertSame(top, leaf.reserveAndCommit(6));
    assertUsage(0, 0, 0, 0);
    assertEquals(0, leaf.peak() + middle.peak() + top.peak());
  }

  @Test
  void tryChargeAtOnce_overMax_leavesNothingBehind() {
    top.setMax(5);
    assertFalse(leaf.tryChargeAtOnce(6));
    assertUsage(0, 0, 0, 0);
    assertTrue(leaf.tryChargeAtOnce(5));
    assertUsage(5, 0, 5, 5);
  }

  @Test
  void tryCharge_severalLevelsFull_namesTheNearest() {
    top.setMax(5);
    middle.setMax(5);
    assertSame(middle, leaf.tryCharge(6));
    assertSame(middle, leaf.reserveAndCommit(6));
    middle.setMax(6);
    assertSame(top, leaf.tryCharge(6));
  }

  @Test
  void tryCharge_maxZero_refusesEverything() {
    leaf.setMax(0);
    assertSame(leaf, leaf.tryCharge(1));
    assertNull(sibling.tryCharge(1));
  }

  @Test
  void tryCharge_largestRequest_fitsTheWord() {
    long large = PageCounter.MAX_REQUEST_PAGES;
    for (int i = 0; i < 1000; i++) {
      assertNull(leaf.tryCharge(large));
    }
    assertUsage(1000 * large, 0, 1000 * large, 1000 * large);
    leaf.uncharge(1000 * large);
    assertUsage(0, 0, 0, 0);
  }

  @Test
  void tryCharge_counterFull_refuses() {
    long large = PageCounter.MAX_REQUEST_PAGES;
    long nrFit = PageCounter.UNLIMITED_PAGES / large;
    for (long i = 0; i < nrFit; i++) {
      assertNull(top.tryCharge(large));
    }
    assertSame(top, leaf.tryCharge(large));
    assertThrows(IllegalStateException.class, () -> leaf.force(large));
    assertUsage(0, 0, 0, nrFit * large);
  }

  @Test
  void setMax_belowUsage_refusesUntilFreed() {
    assertNull(leaf.tryCharge(10));
    assertEquals(10, leaf.setMax(4));
    assertSame(leaf, leaf.tryCharge(1));
    leaf.uncharge(6);
    assertSame(leaf, leaf.tryCharge(1));
    leaf.uncharge(1);
    assertNull(leaf.tryCharge(1));
    assertEquals(4, leaf.usage());
  }

  @Test
  void force_overMax_chargesAndNamesTheNearest() {
    middle.setMax(2);
    top.setMax(1);
    assertSame(middle, leaf.force(3));
    assertUsage(3, 0, 3, 3);
    assertSame(middle, sibling.tryCharge(1));
    assertEquals(3, middle.peak());
  }

  @Test
  void force_withinMax_namesNone() {
    middle.setMax(3);
    assertNull(leaf.force(3));
  }

  @Test
  void peak_afterUncharge_keepsTheHighest() {
    assertNull(leaf.tryCharge(7));
    assertNull(sibling.tryCharge(5));
    leaf.uncharge(7);
    assertNull(sibling.tryCharge(1));
    assertAll(
        () -> assertEquals(7, leaf.peak()),
        () -> assertEquals(6, sibling.peak()),
        () -> assertEquals(12, middle.peak()),
        () -> assertEquals(12, top.peak()));
  }

  @Test
  void uncharge_moreThanCharged_throwsAndChangesNothing() {
    assertNull(leaf.tryCharge(3));
    assertNull(sibling.tryCharge(3));
    IllegalStateException e = assertThrows(IllegalStateException.class, () -> leaf.uncharge(4));
    assertEquals("uncharged more than was charged: nrPages=4 usagePages=3", e.getMessage());
    assertUsage(3, 3, 6, 6);
    leaf.uncharge(3);
    assertUsage(0, 3, 3, 3);
  }

  @Test
  void room_severalLimits_isTheSmallest() {
    top.setMax(100);
    middle.setMax(20);
    assertNull(leaf.tryCharge(15));
    assertEquals(5, leaf.room());
    assertEquals(20, leaf.lowestMax());
    assertEquals(85, top.room());
    middle.setMax(10);
    assertEquals(-5, sibling.room());
  }

  private void assertUsage(long ofLeaf, long ofSibling, long ofMiddle, long ofTop) {
    assertAll(
        () -> assertEquals(ofLeaf, leaf.usage(), "leaf"),
        () -> assertEquals(ofSibling, sibling.usage(), "sibling"),
        () -> assertEquals(ofMiddle, middle.usage(), "middle"),
        () -> assertEquals(ofTop, top.usage(), "top"),
        () ->
            assertEquals(
                0,
                leaf.pending() + sibling.pending() + middle.pending() + top.pending(),
                "pending"));
  }
}
