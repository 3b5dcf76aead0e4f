package io.memcg4j.objcg;

import io.memcg4j.memcg.MemCgroup;
import org.jspecify.annotations.Nullable;

/**
 * The handles of one group: the active one and those inherited from removed descendants. All fields
 * are written under the registry's lock; {@code active} is read without.
 */
final class GroupHandles implements MemCgroup.GroupState {
  volatile @Nullable ObjCgroup active;
  private @Nullable ObjCgroup first;

  void add(ObjCgroup handle) {
    ObjCgroup head = first;
    handle.home = this;
    handle.previous = null;
    handle.next = head;
    if (head != null) {
      head.previous = handle;
    }
    first = handle;
  }

  void remove(ObjCgroup handle) {
    ObjCgroup before = handle.previous;
    ObjCgroup after = handle.next;
    if (before == null) {
      first = after;
    } else {
      before.next = after;
    }
    if (after != null) {
      after.previous = before;
    }
    handle.previous = null;
    handle.next = null;
    handle.home = null;
  }

  /** Hands every handle to the parent: one pointer write each. */
  void reparentTo(MemCgroup parent, GroupHandles parentHandles) {
    for (ObjCgroup handle = first; handle != null; handle = first) {
      remove(handle);
      handle.reparent(parent);
      parentHandles.add(handle);
    }
  }

  boolean isEmpty() {
    return first == null;
  }
}
