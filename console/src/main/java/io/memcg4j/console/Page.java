package io.memcg4j.console;

import java.io.IOException;
import java.io.InputStream;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** The files of the web page, by name: nothing else of the class path, or of a disk, is reached. */
final class Page implements Resource {
  private static final List<String> FILES =
      List.of(
          "index.html",
          "icon.svg",
          "style.css",
          "app.js",
          "dom.js",
          "format.js",
          "server.js",
          "store.js",
          "rows.js",
          "table.js",
          "groups.js",
          "detail.js",
          "plots.js",
          "slabs.js",
          "flame.js",
          "leaks.js",
          "sites.js",
          "events.js",
          "vendor/uPlot.iife.min.js",
          "vendor/uPlot.min.css",
          "vendor/uPlot.LICENSE");

  private static final String INDEX = "index.html";

  private final Map<String, byte[]> files = new HashMap<>();

  Page() {
    for (String name : FILES) {
      try (InputStream in = Page.class.getResourceAsStream("page/" + name)) {
        if (in == null) {
          throw new IllegalStateException("file of the page is missing: name=" + name);
        }
        files.put(name, in.readAllBytes());
      } catch (IOException e) {
        throw new IllegalStateException("file of the page cannot be read: name=" + name, e);
      }
    }
  }

  @Override
  public void get(Request request) throws IOException {
    String name = request.segments().isEmpty() ? INDEX : String.join("/", request.segments());
    byte[] file = files.get(name);
    if (file == null) {
      throw new HttpError(HttpError.NOT_FOUND, "no such resource");
    }
    request.reply(type(name), file);
  }

  private static String type(String name) {
    return switch (name.substring(name.lastIndexOf('.') + 1)) {
      case "html" -> "text/html; charset=utf-8";
      case "js" -> "text/javascript; charset=utf-8";
      case "css" -> "text/css; charset=utf-8";
      case "svg" -> "image/svg+xml";
      default -> Request.TEXT;
    };
  }
}
