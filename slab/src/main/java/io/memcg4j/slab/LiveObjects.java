package io.memcg4j.slab;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.ObjCgroup;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** What is still allocated, by group and size, for the error that says so. */
final class LiveObjects {
  private static final int MAX_LINES = 16;

  private LiveObjects() {}

  /** Objects that have all in common but their age. */
  private record Line(long count, long oldestMillis) {
    Line plus(Line other) {
      return new Line(count + other.count, Math.max(oldestMillis, other.oldestMillis));
    }

    String text() {
      String age = oldestMillis < 0 ? "" : " oldestMillis=" + oldestMillis;
      return " nrObjects=" + count + age;
    }
  }

  private static void add(Map<String, Line> counts, String what, long count, long ageMillis) {
    counts.merge(what, new Line(count, ageMillis), Line::plus);
  }

  /**
   * One figure per group and object size, largest numbers of lines cut.
   *
   * @param cacheIndex only objects of that cache; -1 for all
   */
  static String report(SlabAllocator allocator, int cacheIndex) {
    Map<String, Line> counts = new TreeMap<>();
    for (Slab slab : allocator.range().inUse()) {
      if (cacheIndex < 0 || allocator.cacheOf(slab) == cacheIndex) {
        count(allocator, slab, counts);
      }
    }
    allocator
        .guarded()
        .listLive(cacheIndex, (what, site) -> add(counts, what + where(allocator, site), 1, -1));
    List<String> lines = new ArrayList<>();
    counts.forEach((what, line) -> lines.add("[" + what + line.text() + "]"));
    int nrMore = lines.size() - MAX_LINES;
    return nrMore <= 0
        ? String.join(" ", lines)
        : String.join(" ", lines.subList(0, MAX_LINES)) + " and " + nrMore + " more";
  }

  static long count(SlabAllocator allocator, int cacheIndex) {
    long nrLive = 0;
    for (Slab slab : allocator.range().inUse()) {
      if (allocator.cacheOf(slab) == cacheIndex) {
        nrLive += slab.nrLiveObjects();
      }
    }
    int[] nrGuarded = {0};
    allocator.guarded().listLive(cacheIndex, (what, site) -> nrGuarded[0]++);
    return nrLive + nrGuarded[0];
  }

  private static void count(SlabAllocator allocator, Slab slab, Map<String, Line> counts) {
    for (Word word : slab.words) {
      int nrLive = word.nrLiveObjects();
      if (nrLive > 0) {
        Magazines magazines = word.ownerAcquire();
        ObjCgroup owner = magazines == null ? slab.largeOwner : magazines.handle();
        String group = owner == null ? "?" : owner.group().path();
        long nrBytes = slab.large ? (long) slab.nrPages << MemCgroup.PAGE_SHIFT : slab.objectSize;
        String what = "group=" + group + " objectSize=" + nrBytes;
        SlabTrack track = slab.track();
        if (track == null) {
          add(counts, what, nrLive, -1);
        } else {
          countBySite(allocator, word, track, what, counts);
        }
      }
    }
  }

  private static void countBySite(
      SlabAllocator allocator, Word word, SlabTrack track, String what, Map<String, Line> counts) {
    for (long rest = word.allocated(); rest != 0; rest &= rest - 1) {
      int index = word.slab.indexOf(word, rest & -rest);
      String where = where(allocator, track.site(index));
      add(counts, what + where, 1, track.ageMillis(index));
    }
  }

  private static String where(SlabAllocator allocator, int site) {
    return site == StackDepot.NONE
        ? ""
        : " allocatedAt=" + allocator.profile().depot().firstFrameOutside(site, List.of());
  }
}
