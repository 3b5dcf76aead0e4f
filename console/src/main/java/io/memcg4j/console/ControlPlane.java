package io.memcg4j.console;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpHandler;
import io.memcg4j.leak.HeapDumpException;
import java.io.IOException;
import java.lang.System.Logger.Level;
import java.time.Duration;
import java.util.Map;

/** Checks each request and hands it to its resource. */
final class ControlPlane implements HttpHandler {
  private static final System.Logger LOGGER = System.getLogger(ControlPlane.class.getName());

  private final Access access;
  private final Connections connections;
  private final Duration ioLimit;
  private final Map<String, Resource> resources;
  private final Resource page;

  ControlPlane(
      Access access,
      Connections connections,
      Duration ioLimit,
      Map<String, Resource> resources,
      Resource page) {
    this.access = access;
    this.connections = connections;
    this.ioLimit = ioLimit;
    this.resources = Map.copyOf(resources);
    this.page = page;
  }

  @Override
  public void handle(HttpExchange exchange) throws IOException {
    Deadline deadline = connections.deadline();
    deadline.stop();
    try (exchange) {
      Request request;
      try {
        request = new Request(exchange, deadline, ioLimit);
      } catch (HttpError e) {
        exchange.sendResponseHeaders(e.status(), -1);
        return;
      }
      try {
        serve(request);
      } catch (HttpError e) {
        request.fail(e);
      } catch (IllegalArgumentException e) {
        request.fail(new HttpError(HttpError.BAD_REQUEST, String.valueOf(e.getMessage())));
      } catch (IllegalStateException e) {
        request.fail(new HttpError(HttpError.CONFLICT, String.valueOf(e.getMessage())));
      } catch (HeapDumpException e) {
        request.fail(new HttpError(HttpError.INTERNAL_ERROR, String.valueOf(e.getMessage())));
      } catch (RuntimeException e) {
        LOGGER.log(Level.WARNING, "console request failed: " + request, e);
        request.fail(new HttpError(HttpError.INTERNAL_ERROR, "failed; the log says why"));
      }
    } finally {
      deadline.start(
          ioLimit); // for what the server does with the connection, until the thread ends
    }
  }

  private void serve(Request request) throws IOException {
    String first = request.segments().isEmpty() ? "" : request.segments().getFirst();
    Resource resource = resources.get(first);
    access.check(request, resource == null);
    if (resource == null) {
      resource = page;
    }
    if (request.isRead()) {
      resource.get(request);
    } else if (request.isWrite()) {
      resource.put(request);
    } else {
      throw new HttpError(HttpError.METHOD_NOT_ALLOWED, "method not allowed: legal=GET PUT POST");
    }
  }
}
