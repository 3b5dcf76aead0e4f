package io.memcg4j.slab;

import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.ObjStock;
import io.memcg4j.percpu.CpuSlots;
import org.jspecify.annotations.Nullable;

/**
 * Takes slabs with room over from a slot that nobody uses right now, before new ones come from the
 * range: so free memory that one slot has left behind serves the next.
 */
final class SlabAdoption {
  /*
   * Invariant  a slab moves whole: home, lists, and the owners, partial words and pins of all its
   *            words, while the caller owns both slots. One with an active word stays.
   * Ordering   a word goes from one magazine to another of the same handle, and has an owner all the
   *            time: a remote free sees either, and gives the charge back to the same handle
   *            (AdoptStress, twin: the owner is cleared first). A remote free that has read the old
   *            home queues the slab there, then looks at home again; the mover stores the new home,
   *            then looks at the queue. So one of them sends the slab on (AdoptStress, twin: one look).
   * Locks      none; the other slot is only tried.
   * Origin     get_any_partial of SLUB; a least part of a slab that must be free: Hoard (Berger and
   *            others, 2000).
   */
  private static final int MIN_FREE_SHIFT = 2; // a quarter

  /** Slabs that are looked at in vain: each look goes through all its words. */
  private static final int MAX_REFUSED = 8;

  private final SlabAllocator allocator;
  private final SlotSlabs heir;
  private int cursor;

  SlabAdoption(SlabAllocator allocator, SlotSlabs heir) {
    this.allocator = allocator;
    this.heir = heir;
    this.cursor = heir.slot().index();
  }

  /**
   * Asks one other slot, another one each time as long as nothing is found, for slabs in which the
   * owner of magazines finds many free objects. The caller owns the heir's slot.
   *
   * @return whether any slab was taken over
   */
  boolean adopt(Magazines magazines, SlabGeometry geometry) {
    CpuSlots slots = allocator.registry().slots();
    int nrSlots = slots.nrSlots();
    for (int i = 1; i < nrSlots; i++) {
      cursor = cursor + 1 < nrSlots ? cursor + 1 : 0;
      SlotSlabs donor = allocator.slabsOf(slots.slot(cursor));
      if (donor != heir && donor.hasSlabs(geometry.cacheIndex()) && slots.tryClaim(donor.slot())) {
        try {
          if (adoptFrom(donor, magazines.handle(), geometry)) {
            cursor = cursor == 0 ? nrSlots - 1 : cursor - 1; // there may be more
            return true;
          }
          return false;
        } finally {
          donor.passOnRemoteFrees();
          donor.slot().release();
        }
      }
    }
    return false;
  }

  private boolean adoptFrom(SlotSlabs donor, ObjCgroup payer, SlabGeometry geometry) {
    donor.collectRemoteFrees();
    SlabList list = donor.list(geometry);
    int nrWanted = list.batch();
    int nrRefused = 0;
    for (int i = list.nrPartial() - 1; i >= 0 && nrWanted > 0 && nrRefused < MAX_REFUSED; i--) {
      if (tryMove(donor, list.partial(i), payer)) {
        nrWanted--;
      } else {
        nrRefused++;
      }
    }
    Magazine magazine = magazineOf(donor, payer, geometry);
    for (int i = magazine.nrPartial() - 1; i >= 0 && nrWanted > 0 && nrRefused < MAX_REFUSED; i--) {
      if (tryMove(donor, magazine.partial(i).slab, payer)) {
        nrWanted--;
        i = Math.min(i, magazine.nrPartial()); // other words of the slab have gone with it
      } else {
        nrRefused++;
      }
    }
    if (nrWanted == list.batch()) {
      return false;
    }
    heir.noteEmptySlabs(); // what the donor had to give back goes with the slabs
    return true;
  }

  private Magazine magazineOf(SlotSlabs donor, ObjCgroup payer, SlabGeometry geometry) {
    ObjStock stock = allocator.registry().find(donor.slot(), payer.id());
    if (stock == null || stock.handle() != payer) {
      return Magazine.NONE;
    }
    return donor.magazines(stock).get(geometry.cacheIndex());
  }

  private boolean tryMove(SlotSlabs donor, Slab slab, ObjCgroup payer) {
    if (nrUsable(slab, payer) < slab.nrObjects() >>> MIN_FREE_SHIFT) {
      return false;
    }
    @Nullable Magazines[] owners = new @Nullable Magazines[slab.words.length];
    @Nullable Magazines[] heirs = new @Nullable Magazines[slab.words.length];
    for (int i = 0; i < owners.length; i++) {
      owners[i] = slab.words[i].owner();
    }
    boolean all = inherit(owners, heirs);
    if (all) {
      move(slab, donor, heir, heirs);
    }
    for (Magazines former : all ? owners : heirs) {
      if (former != null) {
        former.stock().unpin();
      }
    }
    return all;
  }

  /** Objects that the payer could allocate; 0 if the slab has to stay. */
  private static int nrUsable(Slab slab, ObjCgroup payer) {
    int nrUsable = Long.bitCount(slab.emptyWords) << slab.wordShift;
    for (Word word : slab.words) {
      if (word.activeIn() != null) {
        return 0;
      }
      Magazines owner = word.owner();
      if (owner != null && owner.handle() == payer) {
        nrUsable += Long.bitCount(word.free());
      }
    }
    return nrUsable;
  }

  /** Pins the heirs; false if there can be none, as the group was removed. */
  private boolean inherit(@Nullable Magazines[] owners, @Nullable Magazines[] heirs) {
    for (int i = 0; i < owners.length; i++) {
      Magazines owner = owners[i];
      if (owner != null) {
        ObjStock stock = allocator.registry().stock(heir.slot(), owner.handle());
        if (stock.handle() != owner.handle()) {
          return false;
        }
        stock.pin();
        heirs[i] = heir.magazines(stock);
      }
    }
    return true;
  }

  /** Moves a slab, whose words are inactive, from one slot that the caller owns to another. */
  static void move(Slab slab, SlotSlabs donor, SlotSlabs heir, @Nullable Magazines[] heirs) {
    donor.list(slab.geometry).moveTo(heir.list(slab.geometry), slab);
    slab.home = heir;
    for (int i = 0; i < heirs.length; i++) {
      Word word = slab.words[i];
      Magazines owner = word.owner();
      Magazines next = heirs[i];
      if (owner != null && next != null) {
        owner.forget(word);
        Magazine magazine =
            next.getOrMake(slab.geometry); // for a full word too: it will be freed to
        if (word.free() != 0) {
          owner.get(slab.cacheIndex).removePartial(word);
          magazine.pushPartial(word);
        }
        word.moveTo(next);
      }
    }
  }
}
