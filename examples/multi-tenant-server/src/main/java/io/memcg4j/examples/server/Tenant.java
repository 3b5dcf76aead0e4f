package io.memcg4j.examples.server;

import com.fasterxml.jackson.databind.JsonNode;
import io.memcg4j.caffeine.MemcgCache;
import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryEvents;
import io.memcg4j.memcg.OomHandler;
import io.memcg4j.memcg.Throttle;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.slab.Kmalloc;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.CountDownLatch;

/**
 * A tenant: its group, its values, its decoded documents, its counters.
 *
 * <p>A removed tenant admits no request any more; its values are freed and its group is removed at
 * once. What responses still send stays until they are over, and is paid for by the group of all
 * tenants meanwhile; the last of them takes the rest apart.
 */
final class Tenant {
  private static final Duration CLEAR_DEADLINE = Duration.ofSeconds(1);

  /** The longest that a refusal keeps its client waiting. */
  private static final long MAX_REFUSAL_DELAY_NANOS = 250_000_000L;

  private final Kmalloc kmalloc;
  private final MemCgroup group;
  private final ObjCgroup handle;
  private final ValueStore store;
  private final MemcgCache<Long, JsonNode> documents;
  private final RequestCounters counters;
  private final Admission admission;
  private final Plugin plugin;
  private final CountDownLatch gone = new CountDownLatch(1);
  private volatile TenantSettings settings;

  /**
   * A tenant with a group of its own.
   *
   * @param kmalloc where its values live
   * @param tenants the group above
   * @param settings its limits
   * @param server the server's part
   */
  Tenant(Kmalloc kmalloc, MemCgroup tenants, TenantSettings settings, ServerSettings server) {
    this.kmalloc = kmalloc;
    this.settings = settings;
    this.group = tenants.create(settings.name());
    this.handle = ObjCgroup.of(group);
    this.documents =
        MemcgCache.<Long, JsonNode>builder(group, (_, document) -> Json.heapBytes(document))
            .name("documents")
            .build();
    this.store = new ValueStore(kmalloc, group, documents::invalidate);
    try (Scope scope = handle.enter()) {
      this.counters = new RequestCounters(kmalloc.percpu());
    } catch (RuntimeException e) { // the limit of all tenants has no room for one more
      store.close();
      documents.close();
      group.remove();
      throw e;
    }
    this.plugin = server.plugins().getOrDefault(settings.name(), Plugin.NONE);
    this.admission =
        new Admission(
            server.maxRequests(),
            () -> Thread.ofVirtual().name("tenant-end").start(this::takeApart));
    change(settings);
  }

  /** Takes on other limits. */
  void change(TenantSettings now) {
    settings = now;
    group.setMin(now.min());
    group.setLow(now.low());
    if (now.oom() == OomPolicy.CLEAR) {
      group.setOomKill(this::clearForRoom, CLEAR_DEADLINE, 0);
      group.setOomHandler(OomHandler.KILL_LARGEST);
    } else {
      group.setOomHandler(OomHandler.FAIL_REQUEST);
    }
    group.setMax(now.max());
    group.setHigh(now.high());
  }

  /** The policy's answer to want of memory. The tenant lives on, and can be asked again. */
  private void clearForRoom() {
    store.clear();
  }

  /** Ends it; see above. To be called when nobody can find it any more. */
  void remove() {
    store.clear();
    documents.invalidateAll();
    group.remove();
    admission.close(); // last: the rest may be taken apart from here on
  }

  private void takeApart() {
    try {
      store.close(); // with what came in after the clear
      documents.close();
      counters.close();
    } finally {
      gone.countDown();
    }
  }

  /** Waits until a removed tenant's last request is over. */
  void awaitGone() {
    boolean interrupted = false;
    while (gone.getCount() != 0) {
      try {
        gone.await();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  boolean isGone() {
    return gone.getCount() == 0;
  }

  // ---- requests

  /**
   * A decoded document: from the cache, or decoded now and cached if the group has room.
   *
   * @param key of the value
   * @param value the text, held by the caller
   */
  JsonNode document(String key, Value value) {
    JsonNode document = documents.get(value.version(), _ -> Json.decode(value.memory()));
    if (!store.isCurrent(key, value)) {
      documents.invalidate(value.version()); // nobody will ask for it again
    }
    if (document == null) {
      throw new IllegalStateException("decoder gave nothing: key=" + key);
    }
    return document;
  }

  /** Takes a pause that is due because the tenant is above {@code high}; with no scope open. */
  void pause(Throttle due) {
    if (due.isNeeded()) {
      long begin = System.nanoTime();
      group.pause(due);
      counters.add(RequestCounters.Counter.THROTTLED, 1);
      counters.add(RequestCounters.Counter.THROTTLED_NANOS, System.nanoTime() - begin);
    }
  }

  /**
   * Takes the pause of a refused request: who tries again and again above {@code high} is slowed
   * too, or nobody but the retries would get the processors.
   */
  void pauseRefused() {
    Throttle due = group.throttle();
    pause(
        due.delayNanos() <= MAX_REFUSAL_DELAY_NANOS
            ? due
            : new Throttle(due.groupPath(), MAX_REFUSAL_DELAY_NANOS));
  }

  MemCgroup group() {
    return group;
  }

  ObjCgroup handle() {
    return handle;
  }

  ValueStore store() {
    return store;
  }

  RequestCounters counters() {
    return counters;
  }

  Admission admission() {
    return admission;
  }

  /** What the tenant's own code does about a value that is to be stored; inside its scope. */
  void runPlugin(String key, int nrBytes) {
    plugin.storing(kmalloc, key, nrBytes);
  }

  TenantSettings settings() {
    return settings;
  }

  /** What there is to know about it, for its clients. */
  Map<String, Object> figures() {
    Map<String, Object> figures = new LinkedHashMap<>();
    figures.put("tenant", settings.name());
    figures.put("group", group.path());
    figures.put("usageBytes", group.usage());
    figures.put("peakBytes", group.peak());
    figures.put("minBytes", group.min());
    figures.put("lowBytes", group.low());
    figures.put("highBytes", limit(group.high()));
    figures.put("maxBytes", limit(group.max()));
    figures.put("oom", settings.oom().name().toLowerCase(Locale.ROOT));
    figures.put("values", store.nrValues());
    figures.put("inFlight", admission.nrInside());
    figures.put("decodedBytes", documents.nrBytes());
    MemoryEvents events = group.events();
    figures.put("events", Map.of("high", events.high(), "max", events.max(), "oom", events.oom()));
    Map<String, Long> requests = new LinkedHashMap<>();
    counters.sums().forEach((counter, sum) -> requests.put(name(counter), sum));
    figures.put("requests", requests);
    return figures;
  }

  /** As a JSON value: a number, or {@code max}. */
  static Object limit(long nrBytes) {
    return nrBytes == MemCgroup.UNLIMITED ? "max" : nrBytes;
  }

  private static String name(RequestCounters.Counter counter) {
    String[] words = counter.name().toLowerCase(Locale.ROOT).split("_", -1);
    StringBuilder name = new StringBuilder(words[0]);
    for (int i = 1; i < words.length; i++) {
      name.append(Character.toUpperCase(words[i].charAt(0))).append(words[i], 1, words[i].length());
    }
    return name.toString();
  }
}
