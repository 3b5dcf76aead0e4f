package io.memcg4j.examples.server;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.slab.Kmalloc;
import io.memcg4j.slab.SlabInfo;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * Three tenants in one JVM, each under a limit of its own: a steady one, a greedy one that wants
 * more than its limit, and one whose group is removed while it has memory. Prints what they use and
 * checks what memcg4j promises.
 */
final class Demo {
  private static final long MIB = 1L << 20;

  private final PrintStream out;
  private final List<String> broken = new ArrayList<>();

  Demo(PrintStream out) {
    this.out = out;
  }

  /**
   * Runs for a time.
   *
   * @return the promises that were broken; empty if all is well
   */
  List<String> run(int nrSeconds) throws InterruptedException {
    MemCgroup root = MemCgroup.root();
    MemCgroup tenants = root.create("tenants");
    tenants.setMax(96 * MIB);
    try (Kmalloc kmalloc = Kmalloc.create(root)) {
      Tenant steady = tenant(kmalloc, tenants, "steady", 64 * MIB, 20_000);
      Tenant greedy = tenant(kmalloc, tenants, "greedy", 16 * MIB, 100_000);
      Tenant leaving = tenant(kmalloc, tenants, "leaving", 16 * MIB, 5_000);
      List<Tenant> all = List.of(steady, greedy, leaving);
      List<Thread> threads = new ArrayList<>();
      all.forEach(tenant -> threads.add(Thread.ofPlatform().daemon().start(tenant)));
      for (int second = 1; second <= nrSeconds; second++) {
        Thread.sleep(1000);
        print(second, all);
      }
      all.forEach(Tenant::stop);
      for (Thread thread : threads) {
        thread.join();
      }
      checkLimits(all);
      checkRemoval(tenants, leaving);
      all.forEach(Tenant::clear);
      tenants.drain();
      promise(tenants.usage() == 0, "everything freed, but usage=" + tenants.usage());
      SlabInfo info = kmalloc.info();
      promise(info.nrObjects() == 0, "everything freed, but objects=" + info.nrObjects());
    }
    out.println(broken.isEmpty() ? "all promises kept" : "promises broken: " + broken.size());
    return broken;
  }

  private static Tenant tenant(
      Kmalloc kmalloc, MemCgroup parent, String name, long maxBytes, int nrValues) {
    MemCgroup group = parent.create(name);
    group.setMax(maxBytes);
    return new Tenant(kmalloc, group, nrValues, name.hashCode());
  }

  private void checkLimits(List<Tenant> all) {
    for (Tenant tenant : all) {
      MemCgroup group = tenant.group();
      promise(group.peak() <= group.max(), group.path() + " was over its limit: " + group.peak());
      boolean wantsTooMuch = group.name().equals("greedy");
      promise(
          wantsTooMuch == (tenant.nrRefused() > 0),
          group.path() + " was refused " + tenant.nrRefused() + " times");
    }
  }

  /** The group goes, its objects stay valid, and the parent pays for them. */
  private void checkRemoval(MemCgroup tenants, Tenant leaving) {
    tenants.drain();
    long before = tenants.usage();
    leaving.group().remove();
    tenants.drain();
    out.printf(
        Locale.ROOT,
        "removed %s with live objects: usage of %s %.1f -> %.1f MiB%n",
        leaving.group().path(),
        tenants.path(),
        mib(before),
        mib(tenants.usage()));
    promise(tenants.usage() == before, "removal changed the usage of the parent: " + before);
  }

  private void promise(boolean kept, String otherwise) {
    if (!kept) {
      broken.add(otherwise);
    }
  }

  private void print(int second, List<Tenant> all) {
    if (second == 1) {
      out.printf(
          Locale.ROOT,
          "%3s  %-18s %9s %9s %9s %12s %10s%n",
          "s",
          "group",
          "used MiB",
          "peak MiB",
          "max MiB",
          "stored",
          "refused");
    }
    for (Tenant tenant : all) {
      MemCgroup group = tenant.group();
      out.printf(
          Locale.ROOT,
          "%3d  %-18s %9.1f %9.1f %9.1f %12d %10d%n",
          second,
          group.path(),
          mib(group.usage()),
          mib(group.peak()),
          mib(group.max()),
          tenant.nrStored(),
          tenant.nrRefused());
    }
    out.flush();
  }

  private static double mib(long nrBytes) {
    return (double) nrBytes / MIB;
  }
}
