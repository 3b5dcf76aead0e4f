package io.memcg4j.slab;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryClass;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.ObjCgroups;
import io.memcg4j.objcg.Scope;
import io.memcg4j.percpu.CpuSlots;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Supplier;

/** A tree of groups with an allocator on it, which shares nothing with those of other tests. */
final class Instance implements AutoCloseable {
  static final long PAGE = MemCgroup.PAGE_SIZE;
  static final long DEFAULT_RANGE_BYTES = 1L << 34;

  final MemCgroup root;
  final TestMapper pages = new TestMapper();
  final Kmalloc kmalloc;

  private Instance(CpuSlots slots, long rangeBytes, boolean accounted) {
    root = MemCgroup.root(slots);
    kmalloc =
        Kmalloc.builder(root).rangeBytes(rangeBytes).accounting(accounted).mapper(pages).build();
  }

  static Instance create() {
    return of(CpuSlots.create(4, 2));
  }

  static Instance of(CpuSlots slots) {
    return new Instance(slots, DEFAULT_RANGE_BYTES, true);
  }

  static Instance ofRange(long rangeBytes) {
    return new Instance(CpuSlots.create(4, 2), rangeBytes, true);
  }

  static Instance unaccounted() {
    return new Instance(CpuSlots.create(4, 2), DEFAULT_RANGE_BYTES, false);
  }

  /** A handle of a new group at the top. */
  ObjCgroup handle(String name) {
    return ObjCgroup.of(root.create(name));
  }

  Scope enter(MemCgroup group) {
    return ObjCgroup.of(group).enter();
  }

  /** Runs inside a scope of a group, which is closed again: so that a drain reaches its slot. */
  <T> T in(MemCgroup group, Supplier<T> task) {
    try (Scope _ = enter(group)) {
      return task.get();
    }
  }

  /** Areas that no purge thread touches, so that a test says when. To be closed by the test. */
  Vmalloc quietVmalloc() {
    ScopeCharger charger =
        new ScopeCharger(registry(), true, MemoryClass.VMALLOC, kmalloc.faults());
    return new Vmalloc(pages, DEFAULT_RANGE_BYTES, charger, () -> {});
  }

  SlabAllocator allocator() {
    return kmalloc.allocator();
  }

  ObjCgroups registry() {
    return ObjCgroups.of(root);
  }

  long drainedUsage(MemCgroup group) {
    root.drain();
    return group.usage();
  }

  /** What is held in advance for a group right now, in all slots; they must be idle. */
  long parkedBytes(MemCgroup group) {
    long before = group.usage();
    return before - drainedUsage(group);
  }

  /** What an object of this size is charged. */
  static long chargeOf(long nrBytes) {
    return nrBytes <= Kmalloc.MAX_CACHE_SIZE
        ? SlabGeometry.of(0, SizeClasses.size(SizeClasses.index((int) nrBytes))).chargeBytes()
        : roundToPages(nrBytes);
  }

  static long roundToPages(long nrBytes) {
    return (nrBytes + PAGE - 1) & -PAGE;
  }

  static void write(long address, long offset, int value) {
    Kmalloc.MEMORY.set(JAVA_BYTE, address + offset, (byte) value);
  }

  static int read(long address, long offset) {
    return Kmalloc.MEMORY.get(JAVA_BYTE, address + offset);
  }

  static void writeLong(long address, long offset, long value) {
    Kmalloc.MEMORY.set(JAVA_LONG_UNALIGNED, address + offset, value);
  }

  static long readLong(long address, long offset) {
    return Kmalloc.MEMORY.get(JAVA_LONG_UNALIGNED, address + offset);
  }

  static void fill(long address, long nrBytes, int value) {
    Kmalloc.MEMORY.asSlice(address, nrBytes).fill((byte) value);
  }

  /** What a task on another thread returns or throws. */
  interface Task<T> {
    T run() throws Exception;
  }

  /** Runs a task on a thread of its own and waits for it. */
  static <T> T elsewhere(Task<T> task) throws Exception {
    FutureTask<T> future = new FutureTask<>(task::run);
    Thread thread = new Thread(future, "elsewhere");
    thread.start();
    T result = await(future);
    thread.join();
    return result;
  }

  static <T> T await(FutureTask<T> future) throws Exception {
    try {
      return future.get(60, TimeUnit.SECONDS);
    } catch (ExecutionException e) {
      if (e.getCause() instanceof Exception cause) {
        throw cause;
      }
      if (e.getCause() instanceof Error cause) {
        throw cause;
      }
      throw e;
    } catch (TimeoutException e) {
      throw new AssertionError("thread hangs", e);
    }
  }

  /** Everything was freed: nothing may be charged, mapped or alive. */
  void assertNothingLeft() {
    assertEquals(0, kmalloc.info().nrObjects(), "objects left");
    kmalloc.shrink();
    assertEquals(0, drainedUsage(root), "charges left");
    SlabInfo info = kmalloc.info();
    assertEquals(0, info.mappedBytes(), () -> "memory left: " + info);
    assertEquals(0, info.nrSlabs(), () -> "slabs left: " + info);
    assertEquals(0, info.nrLargeObjects(), () -> "large objects left: " + info);
    assertEquals(0, info.nrBadFrees(), () -> "bad frees: " + info);
  }

  /** As {@link #assertNothingLeft}, for areas too. */
  void assertNoAreasLeft() {
    VmallocInfo before = kmalloc.vmalloc().info();
    assertEquals(0, before.nrAreas(), () -> "areas left: " + before);
    assertEquals(0, before.usedBytes(), () -> "memory counted: " + before);
    assertNothingLeft();
    VmallocInfo info = kmalloc.vmalloc().info();
    assertEquals(0, info.lazyBytes(), () -> "memory waits: " + info);
    assertEquals(0, info.nrLazyAreas(), () -> "areas wait: " + info);
    assertEquals(0, info.pooledBytes(), () -> "addresses kept: " + info);
    assertEquals("", kmalloc.vmalloc().vmallocinfo());
    assertEquals(0, root.flush().vmalloc(), "stat left");
  }

  @Override
  public void close() {
    kmalloc.close();
  }
}
