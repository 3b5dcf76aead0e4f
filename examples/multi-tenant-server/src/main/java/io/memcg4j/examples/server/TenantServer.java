package io.memcg4j.examples.server;

import com.fasterxml.jackson.databind.JsonNode;
import com.sun.net.httpserver.Headers;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import io.memcg4j.examples.server.RequestCounters.Counter;
import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryLimitException;
import io.memcg4j.memcg.Throttle;
import io.memcg4j.objcg.Scope;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.System.Logger.Level;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * The HTTP store, on loopback: a virtual thread for each request.
 *
 * <p>A request enters its tenant's scope once, for as long as it allocates and counts, and never
 * while it waits for its client: bodies are received and sent outside. So a slow client holds the
 * memory of its own value and nothing else.
 */
final class TenantServer implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(TenantServer.class.getName());
  private static final int BUFFER_BYTES = 16 << 10;
  private static final int BACKLOG = 1024;

  /** Bodies of refused requests that are read all the same, so that the client sees the answer. */
  private static final int MAX_DRAIN_FACTOR = 2;

  static {
    // Read by the JDK's server when its first one is made. Without nodelay a response waits for the
    // client's delayed ACK: 40 ms. The times are in seconds, for a whole request and its response.
    setIfAbsent("sun.net.httpserver.nodelay", "true");
    setIfAbsent("sun.net.httpserver.maxReqTime", "60");
    setIfAbsent("sun.net.httpserver.maxRspTime", "60");
    setIfAbsent("sun.net.httpserver.maxIdleConnections", "2000");
    setIfAbsent("jdk.httpserver.maxConnections", "10000");
  }

  private static void setIfAbsent(String property, String value) {
    if (System.getProperty(property) == null) {
      System.setProperty(property, value);
    }
  }

  private final Tenants tenants;
  private final ServerSettings settings;
  private final Supplier<@Nullable String> fileError;
  private final ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor();
  private final HttpServer http;

  private TenantServer(
      Tenants tenants, ServerSettings settings, Supplier<@Nullable String> fileError)
      throws IOException {
    this.tenants = tenants;
    this.settings = settings;
    this.fileError = fileError;
    this.http =
        HttpServer.create(
            new InetSocketAddress(InetAddress.getLoopbackAddress(), settings.port()), BACKLOG);
    http.setExecutor(threads);
    http.createContext("/", this::handle);
  }

  /**
   * A server that answers.
   *
   * @param fileError what is wrong with the tenants' file, to be told to who asks
   * @throws IOException if the port cannot be had
   */
  static TenantServer start(
      Tenants tenants, ServerSettings settings, Supplier<@Nullable String> fileError)
      throws IOException {
    TenantServer server = new TenantServer(tenants, settings, fileError);
    server.http.start();
    return server;
  }

  int port() {
    return http.getAddress().getPort();
  }

  /** Ends it; requests that are at work are broken off. */
  @Override
  public void close() {
    http.stop(0);
    threads.shutdownNow();
    threads.close();
  }

  // ---- requests

  private void handle(HttpExchange exchange) {
    try (exchange) {
      try {
        answer(exchange);
      } catch (ClientError e) {
        replyError(exchange, e.status(), e.reason());
      } catch (IOException e) {
        LOG.log(Level.DEBUG, "client went away", e);
      } catch (RuntimeException e) {
        LOG.log(Level.WARNING, "request failed", e);
        replyError(exchange, 500, "internal error");
      }
    } catch (IOException e) {
      LOG.log(Level.DEBUG, "client went away", e);
    }
  }

  private void answer(HttpExchange exchange) throws IOException {
    Route route = Route.parse(exchange.getRequestURI().getRawPath());
    if (route.kind() == Route.Kind.TENANTS) {
      requireMethod(exchange, "GET");
      replyJson(exchange, 200, Json.encode(overview()));
      return;
    }
    Tenant tenant = tenants.find(route.tenant());
    Admission.Answer admitted =
        tenant == null ? Admission.Answer.CLOSED : tenant.admission().enter();
    if (tenant == null || admitted == Admission.Answer.CLOSED) {
      throw new ClientError(404, "no such tenant");
    }
    if (admitted == Admission.Answer.FULL) {
      turnAway(exchange, tenant);
      return;
    }
    try {
      if (route.kind() == Route.Kind.TENANT) {
        requireMethod(exchange, "GET");
        replyJson(exchange, 200, Json.encode(tenant.figures()));
      } else {
        serve(exchange, tenant, route);
      }
    } catch (ClientError e) {
      tenant.counters().add(Counter.REJECTED, 1);
      throw e;
    } finally {
      tenant.admission().exit();
    }
  }

  private void serve(HttpExchange exchange, Tenant tenant, Route route) throws IOException {
    switch (exchange.getRequestMethod()) {
      case "GET", "HEAD" -> get(exchange, tenant, route);
      case "PUT" -> put(exchange, tenant, route);
      case "DELETE" -> delete(exchange, tenant, route);
      default -> requireMethod(exchange, "GET", "HEAD", "PUT", "DELETE");
    }
  }

  private static void requireMethod(HttpExchange exchange, String... legal) {
    if (!List.of(legal).contains(exchange.getRequestMethod())) {
      exchange.getResponseHeaders().set("Allow", String.join(", ", legal));
      throw new ClientError(405, "bad method: legal=" + String.join(", ", legal));
    }
  }

  private void get(HttpExchange exchange, Tenant tenant, Route route) throws IOException {
    String pointer = pointerOf(exchange, route);
    Value value;
    try (Scope scope = tenant.handle().enter()) {
      tenant.counters().add(pointer == null ? Counter.GETS : Counter.QUERIES, 1);
      value = tenant.store().get(route.key());
      if (value != null) {
        tenant.counters().add(Counter.BYTES_OUT, value.nrBytes());
      }
    }
    if (value == null) {
      throw new ClientError(404, "no such key");
    }
    try {
      if (pointer != null) {
        query(exchange, tenant, route, value, pointer);
      } else {
        send(exchange, route, value);
      }
    } finally {
      tenant.store().release(value);
    }
  }

  private static void query(
      HttpExchange exchange, Tenant tenant, Route route, Value value, String pointer)
      throws IOException {
    JsonNode found;
    try {
      found = tenant.document(route.key(), value).at(pointer);
    } catch (IllegalArgumentException e) {
      throw new ClientError(400, "bad pointer: legal=empty, or / and names with / between");
    }
    if (found.isMissingNode()) {
      throw new ClientError(404, "nothing there in the document");
    }
    replyJson(exchange, 200, Json.encode(found));
  }

  /** The JSON pointer of {@code ?at=}; null if there is none. */
  private static @Nullable String pointerOf(HttpExchange exchange, Route route) {
    String query = exchange.getRequestURI().getRawQuery();
    if (query == null || query.isEmpty()) {
      return null;
    }
    if (route.kind() != Route.Kind.DOCUMENT || !query.startsWith("at=")) {
      throw new ClientError(400, "bad query: legal=?at=POINTER of a document");
    }
    return Route.decode(query.substring("at=".length()));
  }

  private static void send(HttpExchange exchange, Route route, Value value) throws IOException {
    Headers headers = exchange.getResponseHeaders();
    headers.set(
        "Content-Type",
        route.kind() == Route.Kind.DOCUMENT ? "application/json" : "application/octet-stream");
    headers.set("X-Content-Type-Options", "nosniff");
    if (exchange.getRequestMethod().equals("HEAD")) {
      headers.set("Content-Length", String.valueOf(value.nrBytes()));
      exchange.sendResponseHeaders(200, -1);
      return;
    }
    exchange.sendResponseHeaders(200, value.nrBytes() == 0 ? -1 : value.nrBytes());
    if (value.nrBytes() > 0) {
      copy(value.memory(), exchange.getResponseBody());
    }
  }

  private void put(HttpExchange exchange, Tenant tenant, Route route) throws IOException {
    boolean isDocument = route.kind() == Route.Kind.DOCUMENT;
    int nrBytes =
        bodyBytes(exchange, isDocument ? settings.maxDocumentBytes() : settings.maxValueBytes());
    Throttle due;
    Value value;
    try (Scope scope = tenant.handle().enter().deferThrottle(true)) {
      tenant.counters().add(Counter.PUTS, 1);
      tenant.counters().add(Counter.BYTES_IN, nrBytes);
      tenant.runPlugin(route.key(), nrBytes);
      value = tenant.store().allocate(nrBytes);
      due = scope.takeThrottle();
    } catch (MemoryLimitException e) {
      refuse(exchange, tenant, e);
      return;
    }
    boolean isNew;
    boolean stored = false;
    try {
      receive(exchange.getRequestBody(), value.memory());
      if (isDocument) {
        Json.check(value.memory());
      }
      isNew = tenant.store().put(route.key(), value);
      stored = true;
    } catch (MemoryLimitException e) {
      refuse(exchange, tenant, e);
      return;
    } finally {
      if (!stored) {
        tenant.store().release(value);
      }
    }
    tenant.pause(due);
    exchange.sendResponseHeaders(isNew ? 201 : 204, -1);
  }

  private static void delete(HttpExchange exchange, Tenant tenant, Route route) throws IOException {
    boolean found;
    try (Scope scope = tenant.handle().enter()) {
      tenant.counters().add(Counter.DELETES, 1);
      found = tenant.store().remove(route.key());
    }
    if (!found) {
      throw new ClientError(404, "no such key");
    }
    exchange.sendResponseHeaders(204, -1);
  }

  // ---- refusals

  /** 507: a limit is reached. Says whose, and the figures. */
  private void refuse(HttpExchange exchange, Tenant tenant, MemoryLimitException refusal)
      throws IOException {
    tenant.counters().add(Counter.REFUSED, 1);
    tenant.pauseRefused();
    Map<String, Object> body = new LinkedHashMap<>();
    body.put("error", "memory.max exceeded");
    body.put("group", refusal.group());
    body.put("limitedBy", refusal.limitedBy());
    body.put("requestedBytes", refusal.requestedBytes());
    body.put("usageBytes", refusal.usageBytes());
    body.put("maxBytes", Tenant.limit(refusal.maxBytes()));
    body.put("retryable", refusal.retryable());
    if (refusal.retryable()) {
      exchange.getResponseHeaders().set("Retry-After", "1");
    }
    drain(exchange);
    replyJson(exchange, 507, Json.encode(body));
  }

  /** 429: as many requests of the tenant as may be are at work. */
  private void turnAway(HttpExchange exchange, Tenant tenant) throws IOException {
    Map<String, Object> body = new LinkedHashMap<>();
    body.put("error", "too many requests at a time");
    body.put("group", tenant.group().path());
    body.put("maxRequests", settings.maxRequests());
    exchange.getResponseHeaders().set("Retry-After", "1");
    drain(exchange);
    replyJson(exchange, 429, Json.encode(body));
  }

  private void replyError(HttpExchange exchange, int status, String reason) throws IOException {
    if (exchange.getResponseCode() == -1) { // nothing was sent yet
      drain(exchange);
      replyJson(exchange, status, Json.encode(Map.of("error", reason)));
    }
  }

  /**
   * Reads what is left of a body that is of no use, so that the client, which sends before it
   * reads, sees the answer. Of a body beyond all measure nothing is read, and the connection is
   * closed.
   */
  private void drain(HttpExchange exchange) throws IOException {
    InputStream in = exchange.getRequestBody();
    long most = (long) MAX_DRAIN_FACTOR * settings.maxValueBytes();
    byte[] buffer = new byte[BUFFER_BYTES];
    if (declaredBytes(exchange) <= most) {
      while (most > 0) {
        int nrRead = in.read(buffer);
        if (nrRead < 0) {
          return;
        }
        most -= nrRead;
      }
    }
    exchange.getResponseHeaders().set("Connection", "close");
  }

  private static void replyJson(HttpExchange exchange, int status, byte[] json) throws IOException {
    exchange.getResponseHeaders().set("Content-Type", "application/json");
    if (exchange.getRequestMethod().equals("HEAD")) {
      exchange.sendResponseHeaders(status, -1);
      return;
    }
    exchange.sendResponseHeaders(status, json.length);
    try (OutputStream out = exchange.getResponseBody()) {
      out.write(json);
    }
  }

  // ---- bodies

  private static int bodyBytes(HttpExchange exchange, int most) {
    if (exchange.getRequestHeaders().getFirst("Content-Length") == null) {
      throw new ClientError(
          411, "Content-Length wanted: the memory is allocated before the body comes");
    }
    long declared = declaredBytes(exchange);
    if (declared > most) {
      throw new ClientError(
          413, String.format(Locale.ROOT, "body too large: bytes=%d legal=0..%d", declared, most));
    }
    return (int) declared;
  }

  private static long declaredBytes(HttpExchange exchange) {
    String declared = exchange.getRequestHeaders().getFirst("Content-Length");
    try {
      return declared == null ? 0 : Long.parseLong(declared);
    } catch (NumberFormatException e) {
      throw new ClientError(400, "bad Content-Length");
    }
  }

  private static void receive(InputStream in, MemorySegment memory) throws IOException {
    byte[] buffer = new byte[(int) Math.min(BUFFER_BYTES, memory.byteSize())];
    for (long at = 0; at < memory.byteSize(); ) {
      int nrRead = in.read(buffer, 0, (int) Math.min(buffer.length, memory.byteSize() - at));
      if (nrRead < 0) {
        throw new EOFException("body ended early");
      }
      MemorySegment.copy(buffer, 0, memory, ValueLayout.JAVA_BYTE, at, nrRead);
      at += nrRead;
    }
  }

  private static void copy(MemorySegment memory, OutputStream out) throws IOException {
    byte[] buffer = new byte[(int) Math.min(BUFFER_BYTES, memory.byteSize())];
    for (long at = 0; at < memory.byteSize(); ) {
      int nrBytes = (int) Math.min(buffer.length, memory.byteSize() - at);
      MemorySegment.copy(memory, ValueLayout.JAVA_BYTE, at, buffer, 0, nrBytes);
      out.write(buffer, 0, nrBytes);
      at += nrBytes;
    }
  }

  // ---- figures

  private Map<String, Object> overview() {
    MemCgroup group = tenants.group();
    Map<String, Object> overview = new LinkedHashMap<>();
    overview.put("group", group.path());
    overview.put("usageBytes", group.usage());
    overview.put("maxBytes", Tenant.limit(group.max()));
    String error = fileError.get();
    if (error != null) {
      overview.put("fileError", error);
    }
    overview.put("tenants", tenants.all().stream().map(Tenant::figures).toList());
    return overview;
  }
}
