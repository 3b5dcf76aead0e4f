package io.memcg4j.leak;

import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.slab.Kmalloc;
import io.memcg4j.slab.LiveBlock;
import io.memcg4j.slab.ObjectSnapshot;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.LongFunction;
import org.jspecify.annotations.Nullable;

/** What there is to say of the blocks that a scan reports. */
final class Describer {
  private final Kmalloc kmalloc;
  private final ObjectSnapshot snapshot;
  private final RangeMap ranges;
  private final int hexDumpBytes;
  private final Pace pace;
  private final long now = System.nanoTime();
  private final Map<Integer, List<StackTraceElement>> framesOf = new HashMap<>();

  /**
   * For one scan.
   *
   * @param ranges those that the blocks outside the slabs are numbered by
   */
  Describer(
      Kmalloc kmalloc, ObjectSnapshot snapshot, RangeMap ranges, int hexDumpBytes, Pace pace) {
    this.kmalloc = kmalloc;
    this.snapshot = snapshot;
    this.ranges = ranges;
    this.hexDumpBytes = hexDumpBytes;
    this.pace = pace;
  }

  /**
   * Describes blocks.
   *
   * @param found by address
   * @param names of registered ranges, by address
   */
  List<LeakSuspect> describe(
      List<Scan.Found> found,
      IdTable<Suspect> suspects,
      Marker.Specials said,
      LongFunction<String> names) {
    int[] holders = found.isEmpty() ? new int[0] : LeakGraph.holders(found, ranges, said, pace);
    List<LeakSuspect> described = new ArrayList<>(found.size());
    long sinceNanos = now;
    for (int i = 0; i < holders.length; i++) {
      sinceNanos = pace.rest(sinceNanos);
      Scan.Found one = found.get(i);
      long heldBy = holders[i] == LeakGraph.NOBODY ? 0 : found.get(holders[i]).address();
      Suspect suspect = suspects.get(one.address());
      int nrScans = suspect == null ? 0 : suspect.nrUnreferenced();
      long since = suspect == null ? now : suspect.sinceNanos();
      Attributes attributes = said.of(one.address());
      int trace = attributes == null ? 0 : attributes.trace;
      LiveBlock block =
          one.slab() < 0 ? ranges.block(one.word()) : kmalloc.tracking().find(one.address());
      described.add(describe(one, block, trace, heldBy, nrScans, since, names));
    }
    return described;
  }

  private LeakSuspect describe(
      Scan.Found one,
      @Nullable LiveBlock block,
      int trace,
      long heldBy,
      int nrScans,
      long since,
      LongFunction<String> names) {
    boolean isExact = block != null && block.timeNanos() != 0;
    String thread = block == null ? "" : block.thread();
    int comma = thread.lastIndexOf(',');
    boolean isRegistered = one.slab() < 0 && block == null;
    ObjCgroup owner = null;
    String cache;
    if (one.slab() >= 0) {
      owner = snapshot.owner(one.slab(), one.address());
      cache = snapshot.cacheName(one.slab());
    } else if (block != null) {
      owner = block.owner();
      cache = block.cache();
    } else {
      cache = names.apply(one.address());
    }
    String cgroup = isRegistered ? "" : owner == null ? "?" : owner.group().path();
    String madeFor = owner == null ? "" : owner.madeFor();
    return new LeakSuspect(
        one.address(),
        one.nrBytes(),
        cgroup,
        madeFor.equals(cgroup) ? "" : madeFor,
        cache,
        one.checksum(),
        nrScans,
        heldBy,
        Math.max(0, now - (isExact && block != null ? block.timeNanos() : since)),
        isExact,
        comma < 0 ? "" : thread.substring(0, comma),
        comma < 0 ? 0 : Long.parseLong(thread.substring(comma + 1)),
        hexDump(one),
        frames(trace, block));
  }

  private List<StackTraceElement> frames(int trace, @Nullable LiveBlock block) {
    int site = trace != 0 || block == null ? trace : block.site();
    if (site == 0 && block != null && !block.caller().isEmpty()) {
      return List.of(frameOf(block.caller()));
    }
    return framesOf.computeIfAbsent(site, handle -> kmalloc.profile().depot().frames(handle));
  }

  /** From {@code class.method:line}. */
  private static StackTraceElement frameOf(String caller) {
    int colon = caller.lastIndexOf(':');
    String name = colon < 0 ? caller : caller.substring(0, colon);
    int dot = name.lastIndexOf('.');
    int line = colon < 0 ? -1 : Integer.parseInt(caller.substring(colon + 1));
    return new StackTraceElement(
        name.substring(0, Math.max(0, dot)), name.substring(dot + 1), null, line);
  }

  private String hexDump(Scan.Found one) {
    if (hexDumpBytes == 0) {
      return "";
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment copy = arena.allocate(Math.min(hexDumpBytes, one.nrBytes()), Long.BYTES);
      long copied = Memory.read(one.address(), copy, arena.allocate(Memory.vectorBytes(), 8));
      byte[] bytes = copy.toArray(ValueLayout.JAVA_BYTE);
      return LeakSuspect.hexDumpOf(Arrays.copyOf(bytes, (int) copied));
    }
  }
}
