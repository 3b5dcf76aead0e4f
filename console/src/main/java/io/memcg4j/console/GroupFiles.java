package io.memcg4j.console;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemCgroupFs;
import io.memcg4j.memcg.MemoryEvents;
import io.memcg4j.memcg.MemoryStat;
import io.memcg4j.memcg.Pressure;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/** The files of the groups. A path that ends with a slash is a group, also one named as a file. */
final class GroupFiles implements Resource {
  private final MemCgroup root;
  private final MemCgroupFs files;
  private final List<String> fileNames;

  GroupFiles(MemCgroup root) {
    this.root = root;
    this.files = new MemCgroupFs(root);
    this.fileNames = files.list("/").stream().filter(name -> !name.endsWith("/")).toList();
  }

  @Override
  public void get(Request request) throws IOException {
    List<String> names = namesBelow(request);
    if (isFile(request, names)) {
      String path = String.join("/", names);
      group(names.subList(0, names.size() - 1));
      request.reply(Request.TEXT, files.read(path));
      return;
    }
    Json json = new Json();
    folder(json, group(names));
    request.reply(Request.JSON, json + "\n");
  }

  @Override
  public void put(Request request) throws IOException {
    List<String> names = namesBelow(request);
    if (!isFile(request, names)) {
      group(names);
      throw new HttpError(HttpError.METHOD_NOT_ALLOWED, "a group can only be read");
    }
    group(names.subList(0, names.size() - 1));
    String path = String.join("/", names);
    String text = request.body();
    if (request.hasQuery("noblock")) {
      files.writeNoBlock(path, text);
    } else {
      files.write(path, text);
    }
    boolean isWriteOnly = names.getLast().equals("memory.reclaim");
    request.reply(Request.TEXT, isWriteOnly ? "" : files.read(path));
  }

  /** The names of groups, and perhaps of a file, behind the first one of the path. */
  static List<String> namesBelow(Request request) {
    List<String> names = request.segments().subList(1, request.segments().size());
    if (names.stream().anyMatch(name -> name.isEmpty() || name.indexOf('/') >= 0)) {
      throw new HttpError(HttpError.NOT_FOUND, "no such group: a name is empty or has a slash");
    }
    return names;
  }

  private boolean isFile(Request request, List<String> names) {
    return !request.isFolder() && !names.isEmpty() && fileNames.contains(names.getLast());
  }

  private MemCgroup group(List<String> names) {
    return find(root, names);
  }

  static MemCgroup find(MemCgroup root, List<String> names) {
    MemCgroup group = names.isEmpty() ? root : root.find(String.join("/", names));
    if (group == null) {
      throw new HttpError(
          HttpError.NOT_FOUND, "no such group or file: path=/" + String.join("/", names));
    }
    return group;
  }

  private void folder(Json json, MemCgroup group) {
    json.beginObject();
    figures(json, group);
    json.beginObject("stat");
    MemoryStat stat = group.stat();
    json.put("slab", stat.slab()).put("percpu", stat.percpu()).put("vmalloc", stat.vmalloc());
    json.put("heap", stat.heap()).put("sock", stat.sock()).put("foreign", stat.foreign());
    json.put("reclaimed", stat.reclaimed()).endObject();
    json.name("events");
    events(json, group.events());
    json.name("eventsLocal");
    events(json, group.eventsLocal());
    json.name("pressure");
    pressure(json, group.pressure());
    json.put("nrDescendants", group.nrDescendants());
    json.put("nrDyingDescendants", group.nrDyingDescendants());
    json.beginArray("files");
    fileNames.forEach(json::add);
    json.endArray();
    json.beginArray("children");
    List<MemCgroup> children = new ArrayList<>(group.children());
    children.sort(Comparator.comparing(MemCgroup::name));
    for (MemCgroup child : children) {
      json.beginObject();
      figures(json, child);
      json.endObject();
    }
    json.endArray().endObject();
  }

  private static void figures(Json json, MemCgroup group) {
    json.put("path", group.path()).put("name", group.name());
    json.put("usage", group.usage()).put("peak", group.peak());
    json.put("min", limit(group.min())).put("low", limit(group.low()));
    json.put("high", limit(group.high())).put("max", limit(group.max()));
    json.put("waiting", group.nrWaiting());
  }

  /** No limit is -1: the largest long is not a number that every reader of JSON can hold. */
  static long limit(long nrBytes) {
    return nrBytes == MemCgroup.UNLIMITED ? -1 : nrBytes;
  }

  static void events(Json json, MemoryEvents events) {
    json.beginObject().put("low", events.low()).put("high", events.high());
    json.put("max", events.max()).put("oom", events.oom()).put("oomKill", events.oomKill());
    json.put("oomGroupKill", events.oomGroupKill()).endObject();
  }

  static void pressure(Json json, Pressure pressure) {
    json.beginObject().name("some");
    line(json, pressure.some());
    json.name("full");
    line(json, pressure.full());
    json.endObject();
  }

  private static void line(Json json, Pressure.Line line) {
    json.beginObject().put("avg10", line.avg10()).put("avg60", line.avg60());
    json.put("avg300", line.avg300()).put("totalMicros", line.totalMicros()).endObject();
  }
}
