package io.memcg4j.leak;

import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** What a heap dump says of a class, and where its instances hold longs and references. */
final class HprofClass {
  /*
   * Layout     of an instance: the fields of its class, then those of the superclass, and so on up; a
   *            reference is as long as an id. Offsets are from the start of the fields.
   * Invariant  resolved exactly if all superclasses are known. Offsets are laid out when they are
   *            asked for: of a class with an instance at least as long as the fields, so that a dump
   *            of many long classes does not make more of them than it is long itself.
   */
  private static final int MAX_DEPTH = 1 << 12;

  final long superId;
  final boolean metadata;
  private final int[] ownLongs;
  private final int[] ownReferences;
  private final int ownBytes;

  private boolean resolved;
  private @Nullable HprofClass parent;
  private int @Nullable [] longs;
  private int @Nullable [] references;
  private long nrBytes;

  HprofClass(long superId, boolean metadata, int[] longs, int[] references, int nrBytes) {
    this.superId = superId;
    this.metadata = metadata;
    ownLongs = longs;
    ownReferences = references;
    ownBytes = nrBytes;
  }

  /**
   * Whether all superclasses are known, so that the offsets may be asked for.
   *
   * @throws HeapDumpException if they form a circle, or the fields are longer than any object
   */
  boolean resolve(IdTable<HprofClass> classes) {
    if (resolved) {
      return true;
    }
    long total = 0;
    int depth = 0;
    for (HprofClass type = this; ; type = type.parent) {
      total += type.ownBytes;
      if (type.superId == 0) {
        break;
      }
      if (type.parent == null) {
        type.parent = classes.get(type.superId);
      }
      if (type.parent == null) {
        return false;
      }
      if (++depth > MAX_DEPTH) {
        throw new HeapDumpException("heap dump damaged: a class is its own superclass");
      }
    }
    if (total > Integer.MAX_VALUE) {
      throw new HeapDumpException("heap dump damaged: fields of a class: nrBytes=" + total);
    }
    nrBytes = total;
    resolved = true;
    return true;
  }

  private static int[] join(HprofClass lowest, Function<HprofClass, int[]> own) {
    int count = 0;
    for (HprofClass type = lowest; type != null; type = type.parent) {
      count += own.apply(type).length;
    }
    int[] all = new int[count];
    int next = 0;
    int shift = 0;
    for (HprofClass type = lowest; type != null; type = type.parent) {
      for (int offset : own.apply(type)) {
        all[next++] = shift + offset;
      }
      shift += type.ownBytes;
    }
    return all;
  }

  int[] longs() {
    int[] known = longs;
    if (known == null) {
      known = join(this, type -> type.ownLongs);
      longs = known;
    }
    return known;
  }

  int[] references() {
    int[] known = references;
    if (known == null) {
      known = join(this, type -> type.ownReferences);
      references = known;
    }
    return known;
  }

  /** Bytes of the fields of an instance. */
  long nrBytes() {
    return nrBytes;
  }
}
