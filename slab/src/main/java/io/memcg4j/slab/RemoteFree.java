package io.memcg4j.slab;

import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.ObjCgroups;
import io.memcg4j.objcg.ObjStock;
import io.memcg4j.percpu.CpuSlot;

/**
 * The free of an object that another slot allocated: one atomic OR into its word. The charge goes
 * back at once, the object when the owner of its home slot collects.
 */
final class RemoteFree {
  private final ObjCgroups registry;
  private final AllocationProfile profile;

  RemoteFree(ObjCgroups registry, AllocationProfile profile) {
    this.registry = registry;
    this.profile = profile;
  }

  /**
   * Frees an object.
   *
   * @param slot a slot that the caller owns, not the object's
   * @return false if it was freed already, with nothing changed
   */
  boolean free(CpuSlot slot, Word word, long bit) {
    Magazines magazines = word.ownerAcquire();
    if (magazines == null) {
      return false;
    }
    // Before the bit is set: then the object may be allocated anew, with another call site.
    profile.freed(word, bit);
    boolean freed =
        magazines.isCharged()
            ? freeCharged(slot, magazines.handle(), word, bit)
            : word.freeRemotely(bit);
    if (freed) {
      noteFreed(word);
    }
    return freed;
  }

  /**
   * As the other one, if the object is of another slot, and its payer the one whose magazines the
   * caller has at hand; changes nothing otherwise, or if there is more to be done or said.
   *
   * @param mine of a slot that the caller owns
   */
  boolean freeOwn(Magazines mine, Word word, long bit) {
    Magazines magazines = word.ownerAcquire();
    SlotSlabs home = word.slab.home;
    if (magazines == null
        || magazines.handle() != mine.handle()
        || home == null
        || word.slab.geometry.isDebug()
        || word.isFreed(bit)) {
      return false;
    }
    profile.freed(word, bit); // as above
    if (!word.freeRemotely(bit)) {
      return false;
    }
    assert home != mine.home() : "two stocks of one payer on a slot: " + mine.handle();
    if (mine.isCharged()) {
      mine.stock().uncharge(word.slab.chargeBytes);
    }
    noteFreed(word);
    return true;
  }

  private void noteFreed(Word word) {
    SlotSlabs home = word.slab.home;
    if (home != null) {
      home.noteRemoteFree(word.slab);
    }
  }

  /**
   * Once the bit is set the home may release the word, and with it the owner: a reference keeps it,
   * that of this slot's stock if there is one.
   */
  private boolean freeCharged(CpuSlot slot, ObjCgroup owner, Word word, long bit) {
    ObjStock stock = registry.find(slot, owner.id());
    if (stock != null && stock.handle() == owner) {
      boolean freed = word.freeRemotely(bit);
      if (freed) {
        stock.uncharge(word.slab.chargeBytes);
      }
      return freed;
    }
    if (!owner.refs().tryGet(slot)) {
      return false;
    }
    boolean freed = word.freeRemotely(bit);
    if (freed) {
      owner.unchargeNow(word.slab.chargeBytes);
    }
    owner.refs().put(slot);
    return freed;
  }
}
