package io.memcg4j.leak;

import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.slab.Kmalloc;
import java.time.Duration;
import java.util.Set;
import java.util.TreeSet;

/** An allocator with two tenants, whose scanner has no roots but those that a test registers. */
final class LeakHeap implements AutoCloseable {
  final MemCgroup root = MemCgroup.root();
  final Kmalloc kmalloc = Kmalloc.builder(root).build();
  final ObjCgroup web = ObjCgroup.of(root.create("web"));
  final ObjCgroup db = ObjCgroup.of(root.create("db"));
  final Kmemleak kmemleak = builder().build();

  LeakHeap() {
    kmalloc.profile().exact();
  }

  Kmemleak.Builder builder() {
    return Kmemleak.builder(kmalloc).minAge(Duration.ZERO).withoutJavaHeap();
  }

  long allocate(ObjCgroup tenant, long nrBytes) {
    try (Scope scope = tenant.enter()) {
      return kmalloc.allocateZeroed(nrBytes);
    }
  }

  long allocate(long nrBytes) {
    return allocate(web, nrBytes);
  }

  static void put(long address, long value) {
    Memory.ALL.set(JAVA_LONG_UNALIGNED, address, value);
  }

  /** A scan that remembers and one that reports. */
  LeakReport scanTwice() {
    kmemleak.scan();
    return kmemleak.scan();
  }

  static Set<Long> addresses(LeakReport report) {
    Set<Long> addresses = new TreeSet<>();
    report.suspects().forEach(suspect -> addresses.add(suspect.address()));
    return addresses;
  }

  /** Leaks are what tests leave behind. */
  @Override
  public void close() {
    kmemleak.periodic().stop();
    try {
      kmalloc.close();
    } catch (IllegalStateException e) {
      if (!String.valueOf(e.getMessage()).contains("live")) {
        throw e;
      }
    }
  }
}
