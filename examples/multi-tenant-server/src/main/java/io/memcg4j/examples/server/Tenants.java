package io.memcg4j.examples.server;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.slab.Kmalloc;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** The tenants that there are, below one group. Finding one takes no lock. */
final class Tenants implements AutoCloseable {
  private final Kmalloc kmalloc;
  private final MemCgroup group;
  private final ServerSettings settings;

  /** Replaced as a whole. */
  private volatile Map<String, Tenant> byName = Map.of();

  private final List<Tenant> removed = new ArrayList<>(); // under this

  Tenants(Kmalloc kmalloc, MemCgroup group, ServerSettings settings) {
    this.kmalloc = kmalloc;
    this.group = group;
    this.settings = settings;
  }

  @Nullable Tenant find(String name) {
    return byName.get(name);
  }

  Collection<Tenant> all() {
    return byName.values();
  }

  MemCgroup group() {
    return group;
  }

  /**
   * Makes it so: changes limits, adds and removes tenants.
   *
   * @return what was done, for people; empty if nothing
   */
  synchronized List<String> apply(TenantsFile file) {
    Map<String, Tenant> before = byName;
    Map<String, Tenant> added = add(file, before);
    List<String> done = new ArrayList<>();
    if (group.max() != file.maxBytes()) {
      group.setMax(file.maxBytes());
      done.add("changed max of all");
    }
    Map<String, Tenant> next = new LinkedHashMap<>();
    for (TenantSettings settings : file.tenants()) {
      Tenant tenant = before.get(settings.name());
      if (tenant == null) {
        tenant = Objects.requireNonNull(added.get(settings.name()));
        done.add("added " + settings.name());
      } else if (!tenant.settings().equals(settings)) {
        tenant.change(settings);
        done.add("changed " + settings.name());
      }
      next.put(settings.name(), tenant);
    }
    byName = Collections.unmodifiableMap(next);
    before.forEach((name, tenant) -> {
      if (!next.containsKey(name)) {
        remove(tenant);
        done.add("removed " + name);
      }
    });
    removed.removeIf(Tenant::isGone);
    return done;
  }

  /** Makes the new tenants: all of them or, if one cannot be made, none. */
  private Map<String, Tenant> add(TenantsFile file, Map<String, Tenant> before) {
    Map<String, Tenant> added = new HashMap<>();
    try {
      for (TenantSettings tenant : file.tenants()) {
        if (!before.containsKey(tenant.name())) {
          added.put(tenant.name(), new Tenant(kmalloc, group, tenant, settings));
        }
      }
    } catch (RuntimeException e) {
      added.values().forEach(this::remove);
      throw e;
    }
    return added;
  }

  private void remove(Tenant tenant) {
    tenant.remove();
    removed.add(tenant);
  }

  /** Removes all tenants and waits for their last requests. */
  @Override
  public synchronized void close() {
    byName.values().forEach(this::remove);
    byName = Map.of();
    for (Tenant tenant : removed) {
      tenant.awaitGone();
    }
    removed.clear();
  }
}
