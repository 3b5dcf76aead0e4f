package io.memcg4j.jmx;

import io.memcg4j.memcg.GroupRanking;
import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.slab.Kmalloc;
import io.memcg4j.slab.SlabInfo;
import io.memcg4j.slab.SlabStat;
import io.memcg4j.slab.VmallocInfo;
import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import javax.management.InstanceNotFoundException;
import javax.management.JMException;
import javax.management.MBeanServer;
import javax.management.MalformedObjectNameException;
import javax.management.ObjectName;
import org.jspecify.annotations.Nullable;

/**
 * Registers MXBeans: one for an allocator, {@code memcg4j:type=Kmalloc}, and one for each of its
 * groups, {@code memcg4j:type=MemCgroup,path="/acme"}, as far as the cap goes: the largest groups,
 * each with its parent. With an {@linkplain Builder#instance instance name}, {@code instance="..."}
 * comes before the path.
 *
 * <p>Nothing is registered until {@link Builder#register}. Beans come and go with the groups, when
 * a virtual thread looks, once a second unless chosen otherwise, or at {@link #refresh}. Charges
 * pay nothing: beans read what the groups count anyway. Any thread. The server keeps what is
 * registered alive until {@link #close}, which must come before that of the allocator.
 */
public final class MemcgJmx implements AutoCloseable {
  /*
   * Invariant  a bean is registered for each key of groups, and the one of the allocator, unless
   *            somebody else unregistered it. Beans of groups that go are unregistered before new ones are
   *            registered: a new group may have the path of a removed one.
   * Locks      lock, over all changes of what is registered. Reads of attributes take none.
   */

  /** Groups with a bean if nothing else is asked for. */
  public static final int DEFAULT_MAX_GROUPS = 1000;

  private static final String DOMAIN = "memcg4j";

  private final Kmalloc kmalloc;
  private final MemCgroup top;
  private final MBeanServer server;
  private final @Nullable String instance;
  private final int maxGroups;
  private final ReentrantLock lock = new ReentrantLock();
  private final AtomicBoolean closed = new AtomicBoolean();
  private final Map<MemCgroup, ObjectName> groups = new HashMap<>();
  private volatile Set<MemCgroup> shown = Set.of();
  private volatile @Nullable Thread refresher;

  private MemcgJmx(Builder builder) {
    this.kmalloc = builder.kmalloc;
    this.top = builder.top;
    this.server = builder.server;
    this.instance = builder.instance;
    this.maxGroups = builder.maxGroups;
  }

  /**
   * Beans of an allocator and a tree.
   *
   * @param kmalloc the allocator
   * @param top the group whose subtree is shown, usually the root that the allocator was made with
   * @return to be registered
   */
  public static Builder builder(Kmalloc kmalloc, MemCgroup top) {
    return new Builder(kmalloc, top);
  }

  /** What is registered, and where. */
  public static final class Builder {
    private final Kmalloc kmalloc;
    private final MemCgroup top;
    private MBeanServer server = ManagementFactory.getPlatformMBeanServer();
    private @Nullable String instance;
    private int maxGroups = DEFAULT_MAX_GROUPS;
    private Duration period = Duration.ofSeconds(1);

    private Builder(Kmalloc kmalloc, MemCgroup top) {
      this.kmalloc = kmalloc;
      this.top = top;
    }

    /**
     * Where beans are registered: the platform's server unless chosen.
     *
     * @param mbeanServer the server
     * @return this builder
     */
    public Builder server(MBeanServer mbeanServer) {
      server = mbeanServer;
      return this;
    }

    /**
     * Tells two instances in one server apart.
     *
     * @param name any text
     * @return this builder
     */
    public Builder instance(String name) {
      instance = name;
      return this;
    }

    /**
     * Most groups that have a bean at once.
     *
     * @param nrGroups at least 1
     * @return this builder
     * @throws IllegalArgumentException if it is out of range
     */
    public Builder maxGroups(int nrGroups) {
      if (nrGroups < 1) {
        throw new IllegalArgumentException(
            "number of groups out of range: maxGroups="
                + nrGroups
                + " legal=1.."
                + Integer.MAX_VALUE);
      }
      maxGroups = nrGroups;
      return this;
    }

    /**
     * How often groups that are new or gone are looked for.
     *
     * @param every not at all, but for {@link MemcgJmx#refresh}, if zero
     * @return this builder
     * @throws IllegalArgumentException if it is negative
     */
    public Builder refreshEvery(Duration every) {
      if (every.isNegative()) {
        throw new IllegalArgumentException("period out of range: every=" + every + " legal=0..");
      }
      period = every;
      return this;
    }

    /**
     * Registers the beans.
     *
     * @return close it to unregister them
     * @throws IllegalStateException if the server has beans of these names
     */
    public MemcgJmx register() {
      MemcgJmx jmx = new MemcgJmx(this);
      jmx.begin(period);
      return jmx;
    }
  }

  private void begin(Duration period) {
    try {
      server.registerMBean(new AllocatorBean(), allocatorName());
    } catch (JMException e) {
      throw new IllegalStateException(
          "allocator's bean not registered: name=" + allocatorName(), e);
    }
    try {
      refresh();
    } catch (RuntimeException e) {
      close();
      throw e;
    }
    if (period.isPositive()) {
      refresher = Thread.ofVirtual().name("memcg4j-jmx").start(() -> refreshEvery(period));
    }
  }

  private void refreshEvery(Duration period) {
    while (!closed.get()) {
      LockSupport.parkNanos(this, period.toNanos());
      try {
        refresh();
      } catch (RuntimeException e) {
        System.getLogger(MemcgJmx.class.getName())
            .log(System.Logger.Level.WARNING, "beans not refreshed", e);
      }
    }
  }

  /**
   * Registers beans for groups that are new or have become large, and unregisters those of groups
   * that are gone or have become small. Cost: the children of groups that have a bean.
   *
   * @throws IllegalStateException if the server refuses one
   */
  public void refresh() {
    lock.lock();
    try {
      if (closed.get()) {
        return;
      }
      shown = GroupRanking.of(top, maxGroups, shown).shown();
      groups
          .entrySet()
          .removeIf(row -> {
            boolean gone = !shown.contains(row.getKey());
            if (gone) {
              unregister(row.getValue());
            }
            return gone;
          });
      for (MemCgroup group : shown) {
        if (!groups.containsKey(group)) {
          ObjectName name = groupName(group.path());
          register(group, name);
          groups.put(group, name);
        }
      }
    } finally {
      lock.unlock();
    }
  }

  private void register(MemCgroup group, ObjectName name) {
    try {
      server.registerMBean(new GroupBean(group), name);
    } catch (JMException e) {
      throw new IllegalStateException("group's bean not registered: name=" + name, e);
    }
  }

  private void unregister(ObjectName name) {
    try {
      server.unregisterMBean(name);
    } catch (InstanceNotFoundException e) {
      // Somebody else did: all the better.
    } catch (JMException e) {
      throw new IllegalStateException("bean not unregistered: name=" + name, e);
    }
  }

  /**
   * The name of the allocator's bean.
   *
   * @return legal whatever the instance is called
   */
  public ObjectName allocatorName() {
    return name("type=Kmalloc" + instanceKey());
  }

  /**
   * The name of a group's bean, whether there is one or not.
   *
   * @param path as {@link MemCgroup#path}
   * @return legal whatever the group is called
   */
  public ObjectName groupName(String path) {
    return name("type=MemCgroup" + instanceKey() + ",path=" + ObjectName.quote(path));
  }

  private String instanceKey() {
    return instance == null ? "" : ",instance=" + ObjectName.quote(instance);
  }

  private static ObjectName name(String keys) {
    try {
      return new ObjectName(DOMAIN + ":" + keys);
    } catch (MalformedObjectNameException e) {
      throw new IllegalStateException("illegal name of a bean: keys=" + keys, e);
    }
  }

  /** Unregisters everything. Closing a second time does nothing. */
  @Override
  public void close() {
    lock.lock();
    try {
      if (!closed.compareAndSet(false, true)) {
        return;
      }
      groups.values().forEach(this::unregister);
      groups.clear();
      unregister(allocatorName());
    } finally {
      lock.unlock();
    }
    LockSupport.unpark(refresher);
  }

  private final class AllocatorBean implements KmallocMXBean {
    @Override
    public SlabInfo getSlabs() {
      return kmalloc.info();
    }

    @Override
    public VmallocInfo getAreas() {
      return kmalloc.vmalloc().info();
    }

    @Override
    public int getGroups() {
      return shown.size();
    }

    @Override
    public int getMaxGroups() {
      return maxGroups;
    }

    @Override
    public String slabinfo() {
      return SlabStat.of(kmalloc).slabinfo();
    }

    @Override
    public String vmallocinfo() {
      return kmalloc.vmalloc().vmallocinfo();
    }

    @Override
    public long shrink() {
      return kmalloc.shrink();
    }

    @Override
    public void refresh() {
      MemcgJmx.this.refresh();
    }
  }
}
