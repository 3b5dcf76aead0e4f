package io.memcg4j.console;

import io.memcg4j.leak.Kmemleak;
import io.memcg4j.leak.LeakGroup;
import io.memcg4j.leak.LeakReport;
import io.memcg4j.leak.LeakSuspect;
import java.io.IOException;
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
    json.beginArray("groups");
    report.groups().stream().limit(MAX_GROUPS).forEach(group -> group(json, group));
    json.endArray().put("nrGroups", report.groups().size());
    return json.endObject().toString();
  }

  private static void group(Json json, LeakGroup group) {
    LeakSuspect first = group.first();
    json.beginObject().put("group", first.cgroup()).put("cache", first.cache());
    json.put("address", "0x" + Long.toHexString(first.address()));
    json.put("nrBlocks", group.suspects().size()).put("nrBytes", group.nrBytes());
    json.put("nrHeld", group.nrHeld()).put("heldBytes", group.heldBytes());
    json.put("blockBytes", first.nrBytes()).put("isAgeExact", first.isAgeExact());
    json.put(
        "ageSeconds",
        group.suspects().stream().mapToLong(LeakSuspect::ageNanos).max().orElse(0) / 1e9);
    json.put("nrScans", first.nrScans()).put("comm", first.comm());
    frames(json, first.frames());
    json.endObject();
  }

  static void frames(Json json, Iterable<StackTraceElement> frames) {
    json.beginArray("frames");
    frames.forEach(frame -> json.add(frame.toString()));
    json.endArray();
  }
}
