package io.memcg4j.leak;

import org.jspecify.annotations.Nullable;

/** What a heap dump says of a class, and where its instances hold longs and references. */
final class HprofClass {
  /*
   * Layout     of an instance: the fields of its class, then those of the superclass, and so on up; a
   *            reference is as long as an id. Offsets are from the start of the fields.
   * Invariant  resolved exactly if the offsets cover all superclasses.
   */
  private static final int MAX_DEPTH = 1 << 12;

  final long superId;
  final boolean metadata;
  private final int[] ownLongs;
  private final int[] ownReferences;
  private final int ownBytes;

  private boolean resolved;
  private int[] longs = {};
  private int[] references = {};
  private long nrBytes;

  HprofClass(long superId, boolean metadata, int[] longs, int[] references, int nrBytes) {
    this.superId = superId;
    this.metadata = metadata;
    ownLongs = longs;
    ownReferences = references;
    ownBytes = nrBytes;
  }

  /** Whether all superclasses are known, so that the offsets may be asked for. */
  boolean resolve(IdTable<HprofClass> classes) {
    return resolved || resolve(classes, 0);
  }

  private boolean resolve(IdTable<HprofClass> classes, int depth) {
    if (resolved) {
      return true;
    }
    if (depth > MAX_DEPTH) {
      throw new HeapDumpException("heap dump damaged: a class is its own superclass");
    }
    HprofClass parent = null;
    if (superId != 0) {
      parent = classes.get(superId);
      if (parent == null || !parent.resolve(classes, depth + 1)) {
        return false;
      }
    }
    longs = join(ownLongs, parent == null ? null : parent.longs, ownBytes);
    // Asked for of metadata only.
    references = join(ownReferences, parent == null ? null : parent.references, ownBytes);
    nrBytes = ownBytes + (parent == null ? 0 : parent.nrBytes);
    resolved = true;
    return true;
  }

  private static int[] join(int[] own, int @Nullable [] inherited, int shift) {
    if (inherited == null || inherited.length == 0) {
      return own;
    }
    int[] all = new int[own.length + inherited.length];
    System.arraycopy(own, 0, all, 0, own.length);
    for (int i = 0; i < inherited.length; i++) {
      all[own.length + i] = shift + inherited[i];
    }
    return all;
  }

  int[] longs() {
    return longs;
  }

  int[] references() {
    return references;
  }

  /** Bytes of the fields of an instance. */
  long nrBytes() {
    return nrBytes;
  }
}
