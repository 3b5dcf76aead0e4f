package io.memcg4j.examples.container;

import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.slab.Kmalloc;
import io.memcg4j.slab.ObjectSnapshot;
import java.util.Map;
import java.util.TreeMap;

/**
 * Live objects by the group they were allocated in, also where that was removed since and another
 * one pays.
 *
 * @param nrObjects how many
 * @param nrBytes what they take
 */
record Holdings(long nrObjects, long nrBytes) {
  static final Holdings NONE = new Holdings(0, 0);

  private Holdings plus(Holdings more) {
    return new Holdings(nrObjects + more.nrObjects, nrBytes + more.nrBytes);
  }

  /** Looks at all objects; for now and then. */
  static Map<String, Holdings> of(Kmalloc kmalloc) {
    Map<String, Holdings> holdings = new TreeMap<>();
    ObjectSnapshot objects = kmalloc.tracking().snapshot();
    for (int slab = 0; slab < objects.nrSlabs(); slab++) {
      long nrBytes = objects.objectSize()[slab];
      long address = objects.slabBase()[slab];
      for (int word = objects.firstWord()[slab]; word < objects.firstWord()[slab + 1]; word++) {
        for (long live = objects.live()[word]; live != 0; live &= live - 1) {
          ObjCgroup owner =
              objects.owner(slab, address + Long.numberOfTrailingZeros(live) * nrBytes);
          if (owner != null) {
            holdings.merge(owner.madeFor(), new Holdings(1, nrBytes), Holdings::plus);
          }
        }
        address += Long.SIZE * nrBytes;
      }
    }
    return holdings;
  }

  static Holdings of(Kmalloc kmalloc, String group) {
    return of(kmalloc).getOrDefault(group, NONE);
  }
}
