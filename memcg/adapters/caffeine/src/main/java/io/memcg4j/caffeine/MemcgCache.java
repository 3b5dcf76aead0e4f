package io.memcg4j.caffeine;

import com.github.benmanes.caffeine.cache.Cache;
import com.github.benmanes.caffeine.cache.Caffeine;
import com.github.benmanes.caffeine.cache.Policy;
import com.github.benmanes.caffeine.cache.RemovalCause;
import com.github.benmanes.caffeine.cache.RemovalListener;
import com.github.benmanes.caffeine.cache.Ticker;
import com.github.benmanes.caffeine.cache.Weigher;
import com.github.benmanes.caffeine.cache.stats.CacheStats;
import com.github.benmanes.caffeine.cache.stats.ConcurrentStatsCounter;
import com.github.benmanes.caffeine.cache.stats.StatsCounter;
import io.memcg4j.memcg.Charge;
import io.memcg4j.memcg.ChargeMode;
import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryClass;
import io.memcg4j.memcg.Shrinker;
import io.memcg4j.memcg.ShrinkerRegistration;
import java.time.Duration;
import java.util.Locale;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executor;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.atomic.LongAdder;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * A Caffeine cache whose entries a group pays for. An entry is charged before it is put, and
 * uncharged once when it leaves, for whatever reason. So the group's limits bound the cache, hard:
 * a put that they refuse first drives out the coldest entries, and if it does not fit even then the
 * entry is not cached. When memory is reclaimed in the group, or above it, the cache gives its
 * coldest entries back.
 *
 * <p>Any thread. What an entry weighs is asked once, before it is put; the loader is called with no
 * lock held, so that it may charge the same group.
 *
 * <p>There is no asynchronous form: Caffeine's async caches take a future before its value can be
 * weighed, so an entry would be in the cache before it could be charged. Where loads are
 * asynchronous, {@link #put} the value when it is there.
 *
 * @param <K> the keys
 * @param <V> the values
 */
public final class MemcgCache<K, V> implements AutoCloseable {
  /*
   * Invariant  charge.nrBytes() == the entries in the cache, and those on their way in or out. An
   *            entry is charged before Caffeine sees it, and given back by the removal listener,
   *            which Caffeine calls once for each entry that was in; CachedEntry.release makes
   *            sure of that.
   *            maximum is Caffeine's own bound. It follows what the group leaves: at a refusal
   *            and at a reclaim it falls, together with what is over it, and it rises again when a
   *            put finds it in the way although the group has room. It leaves headroom for the
   *            entry on its way in, so that in a full cache the puts are granted and Caffeine's
   *            policy, not ours, says which of the old and the new entries stay.
   * Locks      resize, over changes of maximum; under it Caffeine's eviction lock. A bin of
   *            flights, over the put of what was loaded; under it Caffeine's locks. Charges that
   *            may reclaim are made under none, as the shrinker of this cache takes resize.
   * Not        that a put is atomic with close(): an entry that comes in during it goes at once.
   * guaranteed
   */
  private static final System.Logger LOG = System.getLogger(MemcgCache.class.getName());
  private static final int MAX_EVICTION_ROUNDS = 4;
  private static final int HEADROOM_SHIFT = 5; // at most 1/32 of the limit stays free

  private final MemCgroup group;
  private final String name;
  private final Weigher<? super K, ? super V> weigher;
  private final @Nullable RemovalListener<? super K, ? super V> listener;
  private final Executor listenerExecutor;
  private final long boundBytes;
  private final Charge charge;
  private final StatsCounter counter = new ConcurrentStatsCounter();
  private final Cache<K, CachedEntry<V>> cache;
  private final Policy.Eviction<K, CachedEntry<V>> eviction;
  private final ShrinkerRegistration shrinker;
  private final ConcurrentHashMap<K, Flight<V>> flights = new ConcurrentHashMap<>();
  private final ReentrantLock resize = new ReentrantLock();
  private final LongAdder nrRefused = new LongAdder();
  private final LongAdder givenBackBytes = new LongAdder();
  private long evictedBytes; // under resize
  private volatile long maximum; // written under resize
  private volatile int largestBytes; // racy: a lost update makes headroom smaller for a while
  private volatile boolean closed;

  private MemcgCache(Builder<K, V> options) {
    this.group = options.group;
    this.name = options.name;
    this.weigher = options.weigher;
    this.listener = options.listener;
    this.listenerExecutor = options.listenerExecutor;
    this.boundBytes = options.maximumBytes;
    this.maximum = Math.min(boundBytes, Math.max(0, GroupRoom.roomBelowHighBytes(group)));
    // The executor: Caffeine's maximum would else be soft, and what was evicted charged for longer.
    Caffeine<K, CachedEntry<V>> caffeine =
        options
            .caffeine
            .executor(Runnable::run)
            .recordStats(() -> counter)
            .maximumWeight(maximum)
            .weigher((K _, CachedEntry<V> entry) -> entry.nrBytes)
            .removalListener((key, entry, cause) -> removed(key, entry, cause));
    this.cache = caffeine.build();
    this.eviction = cache.policy().eviction().orElseThrow();
    this.charge = group.charge(name, options.memoryClass);
    this.shrinker = group.addShrinker(new CacheShrinker());
  }

  /**
   * Starts a cache.
   *
   * @param group who pays
   * @param weigher bytes of an entry, at least 0; asked once for each entry
   * @param <K> the keys
   * @param <V> the values
   * @return options; nothing is charged yet
   */
  public static <K, V> Builder<K, V> builder(
      MemCgroup group, Weigher<? super K, ? super V> weigher) {
    return new Builder<>(group, weigher);
  }

  // ---- the cache

  /**
   * Looks a value up.
   *
   * @param key the key
   * @return null if it is not cached
   */
  public @Nullable V getIfPresent(K key) {
    CachedEntry<V> entry = cache.getIfPresent(key);
    return entry == null ? null : entry.value;
  }

  /**
   * Looks a value up, and loads it if it is not there: one thread for all that ask meanwhile. What
   * the group refuses is returned all the same, and not cached.
   *
   * @param key the key
   * @param loader what it throws is thrown here, and others that wait try theirs; null is not
   *     cached. May charge the group; must not ask for the same key.
   * @return null only if the loader returned it
   * @throws IllegalArgumentException if the weight is negative; nothing is cached then
   * @throws IllegalStateException if the cache is closed, or a loader asks for its own key
   */
  public @Nullable V get(K key, Function<? super K, ? extends @Nullable V> loader) {
    V present = getIfPresent(key);
    while (present == null) {
      checkOpen();
      Flight<V> mine = new Flight<>();
      Flight<V> other = flights.putIfAbsent(key, mine);
      if (other == null) {
        return load(key, loader, mine);
      }
      if (other.pilot == Thread.currentThread()) {
        throw new IllegalStateException(
            String.format(
                Locale.ROOT, "loader asks for its own key: name=%s group=%s", name, group.path()));
      }
      Flight.Landing<V> landing = other.await();
      if (!landing.failed()) {
        return landing.value();
      }
      present = peek(key);
    }
    return present;
  }

  private @Nullable V load(
      K key, Function<? super K, ? extends @Nullable V> loader, Flight<V> mine) {
    long start = System.nanoTime();
    boolean loaded = false;
    boolean landed = false;
    try {
      V value = peek(key); // it may have come since the look that missed
      if (value == null) {
        value = loader.apply(key);
        loaded = true;
        if (value == null) {
          counter.recordLoadFailure(System.nanoTime() - start);
        } else {
          counter.recordLoadSuccess(System.nanoTime() - start);
          value = cacheLoaded(key, value, mine);
        }
      }
      mine.land(value);
      landed = true;
      return value;
    } finally {
      if (!loaded && !landed) {
        counter.recordLoadFailure(System.nanoTime() - start);
      }
      flights.remove(key, mine);
      if (!landed) {
        mine.fail();
      }
    }
  }

  /** Caches a value unless its key was invalidated since the load began, or is there by now. */
  private V cacheLoaded(K key, V value, Flight<V> mine) {
    CachedEntry<V> entry = admit(key, value);
    if (entry == null) {
      return value;
    }
    CachedEntry<V>[] present = newHolder();
    try {
      flights.computeIfPresent(
          key,
          (_, flight) -> {
            if (flight != mine) {
              return flight;
            }
            CachedEntry<V> before = cache.asMap().putIfAbsent(key, entry);
            present[0] = before == null ? entry : before;
            return null;
          });
    } catch (Throwable e) {
      takeOut(key, entry);
      throw e;
    }
    if (present[0] != entry) {
      giveBack(entry);
    } else if (closed) {
      takeOut(key, entry);
    }
    return present[0] == null ? value : present[0].value;
  }

  @SuppressWarnings({"unchecked", "rawtypes"})
  private static <V> CachedEntry<V>[] newHolder() {
    return new CachedEntry[1];
  }

  private @Nullable V peek(K key) {
    CachedEntry<V> entry = cache.policy().getIfPresentQuietly(key);
    return entry == null ? null : entry.value;
  }

  /**
   * Caches a value, in the place of an older one if there is one. Both are charged for a moment.
   *
   * @param key the key
   * @param value the value
   * @return false if the group refused it; an older value of that key is gone then, too
   * @throws IllegalArgumentException if the weight is negative
   * @throws IllegalStateException if the cache is closed
   */
  public boolean put(K key, V value) {
    checkOpen();
    CachedEntry<V> entry = admit(key, value);
    if (entry == null) {
      cache.invalidate(key);
      return false;
    }
    try {
      cache.put(key, entry);
    } catch (Throwable e) { // of a key, or for want of memory: whether it is in is not known
      takeOut(key, entry);
      throw e;
    }
    if (closed) {
      takeOut(key, entry);
    }
    return true;
  }

  /**
   * Takes an entry out. A load of the key that is under way returns its value, uncached.
   *
   * @param key the key
   */
  public void invalidate(K key) {
    flights.remove(key);
    cache.invalidate(key);
  }

  /** Takes all entries out. Loads that are under way return their values, uncached. */
  public void invalidateAll() {
    flights.clear();
    cache.invalidateAll();
  }

  /** Does what is due: entries that expired leave here at the latest. */
  public void cleanUp() {
    cache.cleanUp();
  }

  /**
   * Entries in the cache.
   *
   * @return about as many
   */
  public long estimatedSize() {
    return cache.estimatedSize();
  }

  /**
   * What the cache has charged to the group.
   *
   * @return bytes: all entries, and those on their way in
   */
  public long nrBytes() {
    return charge.nrBytes();
  }

  /**
   * Drives the coldest entries out.
   *
   * @param nrBytes how much is wanted
   * @return what was given back: at least as much, if there was
   */
  public long shrink(long nrBytes) {
    return nrBytes <= 0 ? 0 : evict(nrBytes);
  }

  /**
   * What came of it so far.
   *
   * @return figures of about now
   */
  public Stats stats() {
    return new Stats(counter.snapshot(), nrBytes(), nrRefused.sum(), givenBackBytes.sum());
  }

  /**
   * Figures of a cache.
   *
   * @param caffeine hits, misses, loads and evictions, as Caffeine counts them
   * @param nrBytes what is charged
   * @param nrRefused values that were not cached because a limit refused them
   * @param givenBackBytes what was driven out for want of memory: to put another entry, for a
   *     reclaim, or by {@link #shrink}
   */
  public record Stats(CacheStats caffeine, long nrBytes, long nrRefused, long givenBackBytes) {
    /**
     * Lookups that found their value.
     *
     * @return 0 to 1; 1 before the first lookup
     */
    public double hitRate() {
      return caffeine.hitRate();
    }
  }

  /** Takes all entries out and gives everything back. Closing a second time does nothing. */
  @Override
  public void close() {
    if (closed) {
      return;
    }
    closed = true;
    shrinker.close();
    invalidateAll();
    cache.cleanUp();
    charge.close();
  }

  private void checkOpen() {
    if (closed) {
      throw new IllegalStateException(
          String.format(Locale.ROOT, "cache is closed: name=%s group=%s", name, group.path()));
    }
  }

  // ---- charges

  /** Weighs and charges; null if a limit refuses it whatever is driven out. */
  private @Nullable CachedEntry<V> admit(K key, V value) {
    int nrBytes = weigher.weigh(key, value);
    if (nrBytes < 0) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "weight out of range: name=%s group=%s nrBytes=%d legal=0..%d",
              name,
              group.path(),
              nrBytes,
              Integer.MAX_VALUE));
    }
    if (nrBytes > boundBytes || !(tryCharge(nrBytes, ChargeMode.NOWAIT) || makeRoom(nrBytes))) {
      nrRefused.increment();
      return null;
    }
    if (nrBytes > largestBytes) {
      largestBytes = nrBytes;
    }
    if (charge.nrBytes() > maximum && maximum < boundBytes) {
      rise(nrBytes);
    }
    return new CachedEntry<>(value, nrBytes);
  }

  private boolean tryCharge(int nrBytes, ChargeMode mode) {
    checkOpen();
    return charge.add(nrBytes, mode) == null;
  }

  private void removed(@Nullable K key, @Nullable CachedEntry<V> entry, RemovalCause cause) {
    if (entry != null && giveBack(entry) && resize.isHeldByCurrentThread()) {
      evictedBytes += cause == RemovalCause.SIZE ? entry.nrBytes : 0;
    }
    if (listener != null && entry != null) {
      tell(listener, key, entry.value, cause);
    }
  }

  /** On another thread: here Caffeine's eviction lock is held, and perhaps resize. */
  private void tell(
      RemovalListener<? super K, ? super V> told, @Nullable K key, V value, RemovalCause cause) {
    try {
      listenerExecutor.execute(() -> {
        try {
          told.onRemoval(key, value, cause);
        } catch (Throwable e) {
          LOG.log(System.Logger.Level.WARNING, "removal listener failed: name=" + name, e);
        }
      });
    } catch (RejectedExecutionException e) {
      LOG.log(System.Logger.Level.WARNING, "removal listener not called: name=" + name, e);
    }
  }

  private boolean giveBack(CachedEntry<V> entry) {
    if (!entry.release()) {
      return false;
    }
    try {
      charge.add(-entry.nrBytes, ChargeMode.NOWAIT);
    } catch (IllegalStateException e) {
      if (!closed) {
        throw e;
      } // else close() gave it back with the rest
    }
    return true;
  }

  private void takeOut(K key, CachedEntry<V> entry) {
    try {
      cache.asMap().remove(key, entry);
    } finally {
      giveBack(entry);
    }
  }

  // ---- the maximum

  /** Drives entries out until a charge is granted, if there are enough of them. */
  private boolean makeRoom(int nrBytes) {
    if (nrBytes > GroupRoom.lowestMaxBytes(group)) {
      return false;
    }
    for (int round = 0; round < MAX_EVICTION_ROUNDS; round++) {
      long missing = nrBytes - GroupRoom.roomBytes(group);
      if (missing > charge.nrBytes()) {
        break;
      }
      long nrFreed = evict(Math.max(missing, 0) + (headroomBytes() << round));
      if (tryCharge(nrBytes, ChargeMode.NOWAIT)) {
        return true;
      }
      if (nrFreed == 0) {
        break;
      }
    }
    // Others have it: this cache is asked for no more than its part.
    return tryCharge(nrBytes, ChargeMode.NORETRY);
  }

  private long evict(long nrBytes) {
    resize.lock();
    try {
      long weight = eviction.weightedSize().orElse(0);
      evictedBytes = 0;
      setMaximum(Math.max(0, weight - nrBytes));
      givenBackBytes.add(evictedBytes);
      return evictedBytes;
    } finally {
      resize.unlock();
    }
  }

  /** A charge of so many bytes was granted, and the maximum is in its way. */
  private void rise(int nrBytes) {
    long spare = GroupRoom.roomBelowHighBytes(group) - headroomBytes();
    if (spare < headroomBytes() && nrBytes <= maximum) {
      return;
    }
    resize.lock();
    try {
      long wanted = saturatedSum(charge.nrBytes(), Math.max(0, spare));
      if (wanted > maximum) {
        setMaximum(Math.min(boundBytes, wanted));
      }
    } finally {
      resize.unlock();
    }
  }

  private void setMaximum(long nrBytes) {
    maximum = nrBytes;
    eviction.setMaximum(nrBytes);
  }

  /** What the maximum leaves free for an entry that is charged before older ones go. */
  private long headroomBytes() {
    long most = GroupRoom.lowestMaxBytes(group) >> HEADROOM_SHIFT;
    return Math.max(MemCgroup.PAGE_SIZE, Math.min(largestBytes, most));
  }

  private static long saturatedSum(long a, long b) {
    return b > Long.MAX_VALUE - a ? Long.MAX_VALUE : a + b;
  }

  private final class CacheShrinker implements Shrinker {
    @Override
    public long count() {
      return charge.nrBytes();
    }

    @Override
    public long scan(long nrBytes) {
      return evict(nrBytes);
    }

    @Override
    public String name() {
      return name;
    }
  }

  /**
   * Options of a cache. Confined to one thread.
   *
   * @param <K> the keys
   * @param <V> the values
   */
  public static final class Builder<K, V> {
    private final MemCgroup group;
    private final Weigher<? super K, ? super V> weigher;
    private final Caffeine<Object, Object> caffeine = Caffeine.newBuilder();
    private String name = "caffeine";
    private MemoryClass memoryClass = MemoryClass.HEAP;
    private long maximumBytes = Long.MAX_VALUE;
    private @Nullable RemovalListener<? super K, ? super V> listener;
    private Executor listenerExecutor = ForkJoinPool.commonPool();

    private Builder(MemCgroup group, Weigher<? super K, ? super V> weigher) {
      this.group = group;
      this.weigher = weigher;
    }

    /**
     * Names the cache in reports of the group.
     *
     * @param value not empty; {@code caffeine} if it is not called
     * @return this
     */
    public Builder<K, V> name(String value) {
      name = value;
      return this;
    }

    /**
     * Chooses where entries count in the group's statistics.
     *
     * @param value {@link MemoryClass#HEAP} if it is not called
     * @return this
     */
    public Builder<K, V> memoryClass(MemoryClass value) {
      memoryClass = value;
      return this;
    }

    /**
     * Bounds the cache below what the group allows.
     *
     * @param nrBytes at least 0; only the group bounds it if this is not called
     * @return this
     * @throws IllegalArgumentException if it is negative
     */
    public Builder<K, V> maximumBytes(long nrBytes) {
      if (nrBytes < 0) {
        throw new IllegalArgumentException("maximum out of range: nrBytes=" + nrBytes);
      }
      maximumBytes = nrBytes;
      return this;
    }

    /**
     * As {@link Caffeine#expireAfterWrite(Duration)}.
     *
     * @param duration how long
     * @return this
     */
    public Builder<K, V> expireAfterWrite(Duration duration) {
      caffeine.expireAfterWrite(duration);
      return this;
    }

    /**
     * As {@link Caffeine#expireAfterAccess(Duration)}.
     *
     * @param duration how long
     * @return this
     */
    public Builder<K, V> expireAfterAccess(Duration duration) {
      caffeine.expireAfterAccess(duration);
      return this;
    }

    /**
     * As {@link Caffeine#removalListener}: told once of each entry that was in the cache and left,
     * for whatever reason. The entry is uncharged by then, or is about to be.
     *
     * @param value called by a thread of the executor, in no order, with no lock of the cache held;
     *     what it throws is logged
     * @param executor must not run its tasks in the thread that hands them over
     * @return this
     */
    public Builder<K, V> removalListener(
        RemovalListener<? super K, ? super V> value, Executor executor) {
      listener = value;
      listenerExecutor = executor;
      return this;
    }

    /**
     * As {@link #removalListener(RemovalListener, Executor)}, on the common pool.
     *
     * @param value as there
     * @return this
     */
    public Builder<K, V> removalListener(RemovalListener<? super K, ? super V> value) {
      return removalListener(value, ForkJoinPool.commonPool());
    }

    /**
     * The clock of expiry.
     *
     * @param ticker as {@link Caffeine#ticker} has it
     * @return this
     */
    public Builder<K, V> ticker(Ticker ticker) {
      caffeine.ticker(ticker);
      return this;
    }

    /**
     * Makes the cache, and registers it with the group.
     *
     * @return an empty cache; close it
     */
    public MemcgCache<K, V> build() {
      return new MemcgCache<>(this);
    }
  }
}
