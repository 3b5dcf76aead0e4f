package io.memcg4j.objcg;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.percpu.CpuSlot;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * The stocks of one slot, by handle id. Only {@link MemCgroup#STOCK_GROUPS} of them are hot and may
 * hold charges in advance; the others are kept because objects or scopes of the slot belong to
 * them.
 *
 * <p>Open addressing with linear probing; all access by the slot's owner.
 */
final class SlotStocks {
  private static final int INITIAL_CAPACITY = 8;

  /**
   * Stocks that stay although nobody needs them: a server of a thousand tenants makes none anew for
   * each request. With magazines half a KiB of heap each where a tenant used one size, two KiB
   * where it used twenty; so two MiB a slot at most, on as many slots as threads have visited.
   */
  static final int MAX_KEPT = 1024;

  private final ObjCgroups registry;
  private final CpuSlot slot;
  private final ObjStock root;
  private final ObjStock[] hot = new ObjStock[MemCgroup.STOCK_GROUPS];
  private @Nullable ObjStock[] table = new @Nullable ObjStock[INITIAL_CAPACITY];
  private int nrStocks;
  private int nextVictim;
  private long nrSwept;
  private ObjStock last;

  SlotStocks(ObjCgroups registry, CpuSlot slot, ObjCgroup rootHandle) {
    this.registry = registry;
    this.slot = slot;
    this.root = new ObjStock(this, rootHandle);
    this.last = root;
    Arrays.fill(hot, root);
  }

  CpuSlot slot() {
    return slot;
  }

  @Nullable ObjStock find(int id) {
    if (last.handle().id() == id) {
      return last;
    }
    if (id == ObjCgroup.ROOT_ID) {
      return root;
    }
    int mask = table.length - 1;
    for (int i = home(id, mask); ; i = (i + 1) & mask) {
      ObjStock stock = table[i];
      if (stock == null) {
        return null;
      }
      if (stock.handle().id() == id) {
        last = stock;
        return stock;
      }
    }
  }

  /** The stock of a handle, made if there is none; null if the handle was killed meanwhile. */
  @Nullable ObjStock get(ObjCgroup handle) {
    ObjStock stock = find(handle.id());
    return stock != null ? stock : add(handle);
  }

  private @Nullable ObjStock add(ObjCgroup handle) {
    if (!handle.refs().tryGetLive(slot)) {
      return null;
    }
    if ((nrStocks + 1) * 2 > table.length) {
      grow();
    }
    ObjStock stock = new ObjStock(this, handle);
    insert(stock);
    nrStocks++;
    last = stock;
    return stock;
  }

  private void insert(ObjStock stock) {
    int mask = table.length - 1;
    int i = home(stock.handle().id(), mask);
    while (table[i] != null) {
      i = (i + 1) & mask;
    }
    table[i] = stock;
  }

  private void grow() {
    @Nullable ObjStock[] old = table;
    table = new @Nullable ObjStock[old.length * 2];
    for (ObjStock stock : old) {
      if (stock != null) {
        insert(stock);
      }
    }
  }

  /** Removes a stock that nobody needs; its handle may be released by that. */
  void drop(ObjStock stock) {
    stock.cool();
    for (int i = 0; i < hot.length; i++) {
      if (hot[i] == stock) {
        hot[i] = root;
      }
    }
    if (last == stock) {
      last = root;
    }
    int mask = table.length - 1;
    int hole = home(stock.handle().id(), mask);
    while (table[hole] != stock) {
      hole = (hole + 1) & mask;
    }
    closeHole(hole, mask);
    nrStocks--;
    stock.handle().refs().put(slot);
  }

  /** Moves later members of the probe run back, so that no tombstones are needed. */
  private void closeHole(int removed, int mask) {
    int hole = removed;
    for (int i = (hole + 1) & mask; ; i = (i + 1) & mask) {
      ObjStock candidate = table[i];
      if (candidate == null) {
        table[hole] = null;
        return;
      }
      int ideal = home(candidate.handle().id(), mask);
      if (((i - ideal) & mask) >= ((i - hole) & mask)) {
        table[hole] = candidate;
        hole = i;
      }
    }
  }

  /**
   * The high bits of the product, as many as the table has: ids in sequence spread over all of it.
   */
  static int home(int id, int mask) {
    return (id * 0x9E3779B9) >>> Integer.numberOfLeadingZeros(mask);
  }

  /** Lets a stock hold charges in advance; if all places are taken, another one gives its place. */
  void heat(ObjStock stock) {
    int place = placeFor(stock);
    ObjStock victim = hot[place];
    hot[place] = stock;
    if (victim != root && victim != stock) {
      victim.giveWay();
      dropUnlessKept(victim);
    }
  }

  /** As {@link #heat}, but takes no place of a stock that is hot. */
  boolean tryHeat(ObjStock stock) {
    int place = freePlaceFor(stock);
    if (place < 0) {
      return false;
    }
    hot[place] = stock;
    return true;
  }

  private int placeFor(ObjStock stock) {
    int place = freePlaceFor(stock);
    if (place >= 0) {
      return place;
    }
    int victim = nextVictim;
    nextVictim = (victim + 1) % hot.length;
    return victim;
  }

  /** Its own place if it has one, else one of nobody or of a cold stock; -1 if there is none. */
  private int freePlaceFor(ObjStock stock) {
    int empty = -1;
    for (int i = 0; i < hot.length; i++) {
      if (hot[i] == stock) {
        return i;
      }
      if (empty < 0 && (hot[i] == root || !hot[i].isHot())) {
        empty = i;
      }
    }
    return empty;
  }

  /** Lets no other stock than {@code kept} hold charges of the subtree in advance. */
  void coolOthers(ObjStock kept, MemCgroup subtree) {
    for (ObjStock stock : hot) {
      if (stock != root
          && stock != kept
          && stock.isHot()
          && stock.handle().group().isDescendantOf(subtree)) {
        stock.cool();
        dropUnlessKept(stock);
      }
    }
  }

  /** Gives back what the slot holds in advance for groups at or below {@code subtree}. */
  void drain(MemCgroup subtree) {
    for (ObjStock stock : hot) {
      if (stock != root && stock.handle().group().isDescendantOf(subtree)) {
        stock.drain();
        if (stock.handle().refs().isDying()) {
          dropUnlessKept(stock);
        }
      }
    }
  }

  /** Racy, any thread: whether the slot may hold something in advance for the subtree. */
  boolean holds(MemCgroup subtree) {
    for (ObjStock stock : hot) {
      if (stock != root && stock.handle().group().isDescendantOf(subtree)) {
        return true;
      }
    }
    return false;
  }

  /** Lets go of stocks whose group was removed since the last call, unless they are needed. */
  void sweep(HistoryRing<ObjCgroup> killed) {
    long end = killed.nrAdded();
    for (long number = nrSwept; number < end; number++) {
      ObjCgroup handle = killed.get(number);
      if (handle == null) {
        sweepAll();
        break;
      }
      ObjStock stock = find(handle.id());
      if (stock != null && stock.handle() == handle) {
        stock.cool();
        dropUnlessKept(stock);
      }
    }
    nrSwept = end;
  }

  private void sweepAll() {
    for (ObjStock stock : table.clone()) {
      if (stock != null && stock.handle().refs().isDying()) {
        stock.cool();
        dropUnlessKept(stock);
      }
    }
  }

  /**
   * A stock that nobody needs stays, empty, as long as there are few: whoever enters a scope again
   * finds it, and takes no reference. Those of removed groups go.
   */
  void dropUnlessKept(ObjStock stock) {
    if ((stock.handle().refs().isDying() || (!stock.isHot() && nrStocks > MAX_KEPT))
        && !stock.isPinned()
        && !registry.isInScope(slot, stock)) {
      drop(stock);
    }
  }

  int nrStocks() {
    return nrStocks;
  }
}
