package io.memcg4j.console;

import io.memcg4j.leak.Kmemleak;
import io.memcg4j.leak.LeakGroup;
import io.memcg4j.leak.LeakReport;
import io.memcg4j.leak.LeakSuspect;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** The kmemleak file: reads, takes commands. */
final class LeakResource implements Resource {
  /** Call sites that JSON lists at most. */
  static final int MAX_GROUPS = 500;

  private final @Nullable Kmemleak leaks;

  LeakResource(@Nullable Kmemleak leaks) {
    this.leaks = leaks;
  }

  @Override
  public void get(Request request) throws IOException {
    if (request.wantsJson()) {
      request.reply(Request.JSON, report() + "\n");
    } else {
      request.reply(Request.TEXT, scanner().read());
    }
  }

  @Override
  public void put(Request request) throws IOException {
    String command = request.body();
    request.reply(Request.TEXT, scanner().write(command.strip()));
  }

  private Kmemleak scanner() {
    if (leaks == null) {
      throw new HttpError(
          HttpError.NOT_FOUND, "no leak scanner: add leaks(kmemleak) to the console");
    }
    return leaks;
  }

  private String report() {
    Json json = new Json(4096).beginObject().put("isPresent", leaks != null);
    if (leaks == null) {
      return json.endObject().toString();
    }
    LeakReport report = leaks.last();
    json.put("isOn", leaks.isOn()).put("nrSuspects", report.suspects().size());
    json.put("nrNew", report.nrNew()).put("nrBytes", report.nrBytes());
    json.put("scanNanos", report.scanNanos()).put("nrBlocks", report.nrBlocks());
    json.put("nrScannedBytes", report.nrScannedBytes()).put("nrPasses", report.nrPasses());
    json.beginObject("bytesByGroup");
    report.bytesByCgroup().forEach(json::put);
    json.endObject();
    List<Row> rows = rows(report);
    json.beginArray("groups");
    rows.stream().limit(MAX_GROUPS).forEach(row -> row.append(json));
    json.endArray().put("nrGroups", rows.size());
    return json.endObject().toString();
  }

  private static List<Row> rows(LeakReport report) {
    Map<List<Object>, Row> bySite = new LinkedHashMap<>();
    for (LeakGroup group : report.groups()) {
      LeakSuspect first = group.first();
      Object site = first.frames().isEmpty() ? first.cache() : first.frames();
      bySite.computeIfAbsent(List.of(first.cgroup(), site), _ -> new Row(first)).add(group);
    }
    List<Row> rows = new ArrayList<>(bySite.values());
    rows.sort(Comparator.comparingLong((Row row) -> row.nrBytes + row.heldBytes).reversed());
    return rows;
  }

  /** Leaks of a group and a call site, whatever their size; where that is not known, of a cache. */
  private static final class Row {
    final LeakSuspect first;
    final Set<String> caches = new HashSet<>();
    long nrBlocks;
    long nrBytes;
    long nrHeld;
    long heldBytes;
    long ageNanos;

    Row(LeakSuspect first) {
      this.first = first;
    }

    void add(LeakGroup group) {
      caches.add(group.first().cache());
      nrBlocks += group.suspects().size();
      nrBytes += group.nrBytes();
      nrHeld += group.nrHeld();
      heldBytes += group.heldBytes();
      for (LeakSuspect suspect : group.suspects()) {
        ageNanos = Math.max(ageNanos, suspect.ageNanos());
      }
    }

    void append(Json json) {
      json.beginObject().put("group", first.cgroup()).put("cache", first.cache());
      json.put("nrCaches", caches.size());
      json.put("address", "0x" + Long.toHexString(first.address()));
      json.put("nrBlocks", nrBlocks).put("nrBytes", nrBytes);
      json.put("nrHeld", nrHeld).put("heldBytes", heldBytes);
      json.put("blockBytes", first.nrBytes()).put("isAgeExact", first.isAgeExact());
      json.put("ageSeconds", ageNanos / 1e9);
      json.put("nrScans", first.nrScans()).put("comm", first.comm());
      frames(json, first.frames());
      json.endObject();
    }
  }

  static void frames(Json json, Iterable<StackTraceElement> frames) {
    json.beginArray("frames");
    frames.forEach(frame -> json.add(frame.toString()));
    json.endArray();
  }
}
