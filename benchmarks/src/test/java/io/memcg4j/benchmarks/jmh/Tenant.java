package io.memcg4j.benchmarks.jmh;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.slab.Kmalloc;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/** A tenant with a limit that is not met, in an allocator of its own. */
@State(org.openjdk.jmh.annotations.Scope.Benchmark)
public class Tenant {
  MemCgroup root;
  MemCgroup group;
  ObjCgroup objcg;
  Kmalloc kmalloc;

  @Setup(Level.Trial)
  public void open() {
    root = MemCgroup.root();
    group = root.create("tenant");
    group.setMax(4L << 30);
    objcg = ObjCgroup.of(group);
    kmalloc = Kmalloc.create(root);
  }

  @TearDown(Level.Trial)
  public void close() {
    kmalloc.close();
  }

  /** A thread inside the tenant's scope. */
  @State(org.openjdk.jmh.annotations.Scope.Thread)
  public static class Inside {
    Scope scope;
    Kmalloc.Bound bound;

    @Setup(Level.Trial)
    public void enter(Tenant tenant) {
      scope = tenant.objcg.enter();
      bound = tenant.kmalloc.bind(scope);
    }

    @TearDown(Level.Trial)
    public void leave() {
      scope.close();
    }
  }
}
