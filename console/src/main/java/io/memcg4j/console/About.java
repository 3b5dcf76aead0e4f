package io.memcg4j.console;

import java.io.IOException;
import java.time.Instant;

/** Which JVM this is. */
final class About implements Resource {
  private final String name;
  private final Instant started;

  About(String name, Instant started) {
    this.name = name;
    this.started = started;
  }

  /** The first word of the command line: a class or a jar, without its folder. */
  static String mainClass() {
    String command = System.getProperty("sun.java.command", "");
    String first = command.split(" ", 2)[0];
    String last = first.substring(Math.max(first.lastIndexOf('/'), first.lastIndexOf('\\')) + 1);
    return last.isEmpty() ? "java" : last;
  }

  @Override
  public void get(Request request) throws IOException {
    Runtime runtime = Runtime.getRuntime();
    Json json = new Json().beginObject().put("name", name);
    json.put("pid", ProcessHandle.current().pid());
    json.put("started", started.toEpochMilli()).put("now", System.currentTimeMillis());
    json.put("java", System.getProperty("java.vm.name") + " " + Runtime.version());
    json.put("nrProcessors", runtime.availableProcessors());
    json.put("heapUsed", runtime.totalMemory() - runtime.freeMemory());
    json.put("heapMax", runtime.maxMemory());
    request.reply(Request.JSON, json.endObject() + "\n");
  }
}
