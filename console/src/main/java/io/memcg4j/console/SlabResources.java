package io.memcg4j.console;

import io.memcg4j.slab.Kmalloc;
import io.memcg4j.slab.SlabInfo;
import io.memcg4j.slab.SlabStat;
import io.memcg4j.slab.VmallocArea;
import io.memcg4j.slab.VmallocInfo;
import java.io.IOException;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicInteger;

/** What the allocator holds: slabinfo, vmallocinfo, stat. */
final class SlabResources {
  /** Areas that JSON lists at most; the text lists all. */
  static final int MAX_AREAS = 1_000;

  private static final Duration MAX_AGE = Duration.ofMillis(500);

  private final Kmalloc kmalloc;
  private final Shared<SlabStat> stat;

  SlabResources(Kmalloc kmalloc) {
    this.kmalloc = kmalloc;
    this.stat = new Shared<>(MAX_AGE, () -> SlabStat.of(kmalloc));
  }

  Resource slabinfo() {
    return request -> {
      if (request.wantsJson()) {
        Json json = new Json(4096).beginObject();
        caches(json, stat.get());
        request.reply(Request.JSON, json.endObject() + "\n");
      } else {
        request.reply(Request.TEXT, stat.get().slabinfo());
      }
    };
  }

  Resource vmallocinfo() {
    return request -> {
      if (request.wantsJson()) {
        request.reply(Request.JSON, areas() + "\n");
      } else {
        request.reply(Request.TEXT, kmalloc.vmalloc().vmallocinfo());
      }
    };
  }

  Resource stat() {
    return this::stat;
  }

  private void stat(Request request) throws IOException {
    SlabStat current = stat.get();
    VmallocInfo areas = kmalloc.vmalloc().info();
    if (!request.wantsJson()) {
      request.reply(Request.TEXT, current.summary() + areas.meminfo());
      return;
    }
    SlabInfo info = kmalloc.info();
    Json json = new Json(4096).beginObject();
    json.put("inUseBytes", current.inUseBytes()).put("parkedBytes", current.parkedBytes());
    json.put("freeInSlabsBytes", current.freeInSlabsBytes());
    json.put("retainedBytes", current.retainedBytes()).put("mappedBytes", current.mappedBytes());
    json.put("peakMappedBytes", info.peakMappedBytes()).put("rangeBytes", info.rangeBytes());
    json.put("largeBytes", current.largeBytes()).put("nrLarge", current.nrLarge());
    json.put("nrObjects", info.nrObjects()).put("nrSlabs", info.nrSlabs());
    json.put("nrBadFrees", info.nrBadFrees()).put("fragmentation", current.fragmentation());
    totals(json, areas);
    caches(json, current);
    json.beginArray("tenants");
    for (SlabStat.Tenant tenant : current.tenants()) {
      json.beginObject().put("group", tenant.group());
      json.put("readyObjects", tenant.readyObjects()).put("readyBytes", tenant.readyBytes());
      json.put("boundBytes", tenant.boundBytes()).endObject();
    }
    request.reply(Request.JSON, json.endArray().endObject() + "\n");
  }

  private static void totals(Json json, VmallocInfo areas) {
    json.beginObject("vmalloc").put("totalBytes", areas.totalBytes());
    json.put("usedBytes", areas.usedBytes()).put("peakUsedBytes", areas.peakUsedBytes());
    json.put("nrAreas", areas.nrAreas()).put("lazyBytes", areas.lazyBytes());
    json.put("nrLazyAreas", areas.nrLazyAreas()).put("nrPurges", areas.nrPurges()).endObject();
  }

  private static void caches(Json json, SlabStat stat) {
    json.beginArray("caches");
    for (SlabStat.Cache cache : stat.caches()) {
      json.beginObject().put("name", cache.name());
      json.put("activeObjects", cache.activeObjects()).put("objects", cache.objects());
      json.put("objectSize", cache.objectSize()).put("objectsPerSlab", cache.objectsPerSlab());
      json.put("pagesPerSlab", cache.pagesPerSlab()).put("activeSlabs", cache.activeSlabs());
      json.put("slabs", cache.slabs()).put("parkedObjects", cache.parkedObjects());
      json.put("parkedBytes", cache.parkedBytes()).put("freeInSlabs", cache.freeInSlabs());
      json.put("nrDeferred", cache.nrDeferred()).put("mappedBytes", cache.mappedBytes());
      json.endObject();
    }
    json.endArray();
  }

  private String areas() {
    Json json = new Json(4096).beginObject();
    totals(json, kmalloc.vmalloc().info());
    json.beginArray("areas");
    AtomicInteger nrAreas = new AtomicInteger();
    kmalloc
        .vmalloc()
        .forEach(area -> {
          if (nrAreas.getAndIncrement() < MAX_AREAS) {
            area(json, area);
          }
        });
    json.endArray().put("nrAreas", nrAreas.get());
    return json.endObject().toString();
  }

  private static void area(Json json, VmallocArea area) {
    json.beginObject().put("address", "0x" + Long.toHexString(area.start()));
    json.put("nrBytes", area.nrBytes()).put("chargedBytes", area.chargedBytes());
    json.put("caller", area.caller()).put("group", area.tenant()).endObject();
  }
}
