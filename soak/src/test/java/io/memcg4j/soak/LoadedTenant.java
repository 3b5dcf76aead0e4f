package io.memcg4j.soak;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.Shrinker;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.slab.Kmalloc;
import java.time.Duration;
import java.util.function.BiFunction;

/**
 * What a plugin does that is thrown away later: it uses everything that could keep its class loader
 * alive, closes its scope, removes its group, and closes nothing else.
 */
public final class LoadedTenant implements BiFunction<Kmalloc, String, Long> {
  private static final ThreadLocal<Object> MINE = new ThreadLocal<>();

  /** A shrinker of the plugin's own class. */
  private record Cache(LoadedTenant plugin) implements Shrinker {
    @Override
    public long count() {
      return plugin.hashCode() & 0xff;
    }

    @Override
    public long scan(long nrBytes) {
      return 0;
    }
  }

  /**
   * Runs in a thread of its own.
   *
   * @param kmalloc of the host
   * @param name of the group to be made
   * @return the address of a block that survives the plugin; {@link Kmalloc#NULL} if refused
   */
  @Override
  public Long apply(Kmalloc kmalloc, String name) {
    MINE.set(new LoadedTenant());
    MemCgroup group = kmalloc.root().create(name);
    group.addShrinker(new Cache(this));
    var _ = group.addEventListener(events -> MINE.get());
    var _ = group.onPressure("some 1000 500000", pressure -> MINE.get());
    group.setOomKill(() -> MINE.get(), Duration.ofSeconds(1), 0);
    group.setMax(1 << 20);
    long block;
    try (Scope scope = ObjCgroup.of(group).enter()) {
      block = kmalloc.tryAllocate(1000);
      kmalloc.free(
          kmalloc.waiting().allocateAsync(100, Duration.ofSeconds(1)).toCompletableFuture().join());
      Runnable task = kmalloc::shrink;
      ObjCgroup.wrap(task).run();
      if (scope.current().group() != group) {
        throw new IllegalStateException("not in its group: " + name);
      }
    }
    group.remove();
    return block;
  }
}
