package io.memcg4j.servlet;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.ObjCgroups;
import io.memcg4j.slab.Kmalloc;
import jakarta.servlet.AsyncContext;
import jakarta.servlet.AsyncEvent;
import jakarta.servlet.AsyncListener;
import jakarta.servlet.DispatcherType;
import jakarta.servlet.ReadListener;
import jakarta.servlet.ServletException;
import jakarta.servlet.ServletInputStream;
import jakarta.servlet.WriteListener;
import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.catalina.Context;
import org.apache.catalina.LifecycleException;
import org.apache.catalina.startup.Tomcat;
import org.apache.tomcat.util.descriptor.web.FilterDef;
import org.apache.tomcat.util.descriptor.web.FilterMap;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The filter in a real container, asked by a real client. */
@Timeout(60)
class MemcgFilterServletTest {
  private static final String NOBODY = "nobody";
  private static final int PAGE = MemCgroup.PAGE_SIZE;

  @TempDir private static Path folder;

  private final MemCgroup root = MemCgroup.root();
  private final MemCgroup group = root.create("app");
  private final Kmalloc kmalloc = Kmalloc.create(root);
  private final HttpClient client = HttpClient.newHttpClient();
  private final BlockingQueue<String> payers = new LinkedBlockingQueue<>();
  private final ExecutorService application = Executors.newVirtualThreadPerTaskExecutor();
  private @Nullable Tomcat tomcat;

  /** What a servlet of these tests does. */
  private interface Work {
    void serve(HttpServletRequest request, HttpServletResponse response)
        throws IOException, ServletException;
  }

  @BeforeEach
  void limit() {
    group.setMax(64 * PAGE);
  }

  @AfterEach
  void noScopeIsLeft() throws Exception {
    // An answer may be here before its thread has left the filter.
    for (int i = 0; i < 500 && root.slots().nrBusy() > 0; i++) {
      Thread.sleep(10);
    }
    assertEquals(0, root.slots().nrBusy());
    assertEquals(List.of(), List.copyOf(payers));
    stop();
    application.close();
    client.close();
    root.drain();
    assertEquals(0, root.usage());
    kmalloc.close();
  }

  private void stop() throws LifecycleException {
    Tomcat running = tomcat;
    if (running != null) {
      running.stop();
      running.destroy();
      tomcat = null;
    }
  }

  private String payer() {
    var scope = ObjCgroups.of(root).currentScope();
    return scope == null ? NOBODY : scope.current().group().path();
  }

  private void note(String where) {
    payers.add(where + " " + payer());
  }

  private void expect(String... lines) throws InterruptedException {
    for (String line : lines) {
      assertEquals(line, payers.poll(20, TimeUnit.SECONDS));
    }
  }

  /** A container with the filter before the work, at every path. */
  private void start(MemcgFilter filter, Map<String, String> parameters, Work work)
      throws LifecycleException {
    Tomcat starting = new Tomcat();
    tomcat = starting;
    starting.setBaseDir(folder.toString());
    starting.setPort(0);
    starting.getConnector().setProperty("address", "127.0.0.1");
    Context context = starting.addContext("", folder.toString());
    context.setAllowCasualMultipartParsing(true);
    context.getServletContext().setAttribute(MemcgFilter.GROUP, group);
    FilterDef def = new FilterDef();
    def.setFilterName("memcg");
    def.setFilter(filter);
    def.setAsyncSupported("true");
    parameters.forEach(def::addInitParameter);
    context.addFilterDef(def);
    FilterMap map = new FilterMap();
    map.setFilterName("memcg");
    map.addURLPattern("/*");
    for (DispatcherType type : DispatcherType.values()) {
      map.setDispatcher(type.name());
    }
    context.addFilterMap(map);
    HttpServlet servlet =
        new HttpServlet() {
          @Override
          protected void service(HttpServletRequest request, HttpServletResponse response)
              throws IOException, ServletException {
            work.serve(request, response);
          }
        };
    var wrapper = Tomcat.addServlet(context, "work", servlet);
    wrapper.setAsyncSupported(true);
    context.addServletMappingDecoded("/*", "work");
    starting.start();
  }

  private void start(Work work) throws LifecycleException {
    start(new MemcgFilter(), Map.of(), work);
  }

  private HttpResponse<String> get(String path, String... headers) throws Exception {
    return send(request(path, headers).build());
  }

  private HttpRequest.Builder request(String path, String... headers) {
    Tomcat running = tomcat;
    assertTrue(running != null);
    URI uri = URI.create("http://127.0.0.1:" + running.getConnector().getLocalPort() + path);
    HttpRequest.Builder builder = HttpRequest.newBuilder(uri).timeout(Duration.ofSeconds(20));
    return headers.length == 0 ? builder : builder.headers(headers);
  }

  private HttpResponse<String> send(HttpRequest request) throws Exception {
    return client.send(request, HttpResponse.BodyHandlers.ofString());
  }

  // ---- requests

  @Test
  void request_paidByTheGroupOfTheContext() throws Exception {
    start((request, response) -> {
      response.getWriter().print(payer());
      kmalloc.free(kmalloc.allocate(100));
    });
    HttpResponse<String> response = get("/");
    assertEquals(200, response.statusCode());
    assertEquals("/app", response.body());
  }

  @Test
  void request_servletThrowsOrLeavesScopesOpen_nothingIsLeft() throws Exception {
    start((request, response) -> {
      ObjCgroup.of(group).enter();
      if (request.getRequestURI().equals("/throw")) {
        throw new ServletException("meant to");
      }
    });
    for (int i = 0; i < 20; i++) {
      assertEquals(500, get("/throw").statusCode());
      assertEquals(200, get("/leave").statusCode());
    }
  }

  @Test
  void request_forwardAndError_arePaidToo() throws Exception {
    start((request, response) -> {
      note(request.getDispatcherType() + " " + request.getRequestURI());
      switch (request.getDispatcherType() + request.getRequestURI()) {
        case "REQUEST/forward" ->
            request.getRequestDispatcher("/target").forward(request, response);
        case "REQUEST/include" ->
            request.getRequestDispatcher("/target").include(request, response);
        default -> response.getWriter().print("ok");
      }
    });
    assertEquals("ok", get("/forward").body());
    expect("REQUEST /forward /app", "FORWARD /target /app");
    assertEquals("ok", get("/include").body());
    expect("REQUEST /include /app", "INCLUDE /include /app");
  }

  @Test
  void request_groupWasRemoved_parentPays() throws Exception {
    MemCgroup version = group.create("version1");
    start(
        MemcgFilter.of(version),
        Map.of(),
        (request, response) -> {
          long address = kmalloc.allocate(100);
          root.drain();
          response.getWriter().print(group.usage() + " " + payerOf(address));
          kmalloc.free(address);
        });
    assertEquals(PAGE + " /app/version1", get("/").body());
    version.remove();
    assertEquals(PAGE + " /app", get("/").body());
  }

  private String payerOf(long address) {
    var block = kmalloc.tracking().find(address);
    ObjCgroup owner = block == null ? null : block.owner();
    return owner == null ? NOBODY : owner.group().path();
  }

  @Test
  void by_groupOfEachRequest_resolvedOncePerRequest() throws Exception {
    MemCgroup other = root.create("other");
    start(
        MemcgFilter.by(request -> {
          note("resolve");
          String tenant = request.getHeader("tenant");
          return tenant == null ? null : tenant.equals("other") ? other : group;
        }),
        Map.of(),
        (request, response) -> {
          if (request.getDispatcherType() == DispatcherType.REQUEST) {
            request.startAsync().dispatch("/again");
          } else {
            response.getWriter().print(payer());
          }
        });
    assertEquals("/other", get("/", "tenant", "other").body());
    expect("resolve nobody");
    assertEquals("/app", get("/", "tenant", "app").body());
    expect("resolve nobody");
    assertEquals(NOBODY, get("/").body());
    expect("resolve nobody", "resolve nobody"); // nobody to remember
  }

  // ---- refusals

  private void allocateTooMuch() {
    long[] taken = new long[100];
    try {
      for (int i = 0; i < taken.length; i++) {
        taken[i] = kmalloc.allocate(PAGE);
      }
    } finally {
      for (long address : taken) {
        if (address != 0) {
          kmalloc.free(address);
        }
      }
    }
  }

  @Test
  void refusal_507WithGroupAndFigures() throws Exception {
    start((request, response) -> {
      response.setHeader("Content-Length", "12345");
      response.getWriter().print("half of an answer");
      try {
        allocateTooMuch();
      } catch (RuntimeException e) {
        throw new ServletException("as frameworks wrap it", e);
      }
    });
    HttpResponse<String> response = get("/");
    assertEquals(507, response.statusCode());
    assertTrue(
        response
            .body()
            .matches(
                "\\{\"error\":\"memory limit\",\"group\":\"/app\",\"limitedBy\":\"/app\","
                    + "\"requestedBytes\":4096,\"usageBytes\":\\d+,\"maxBytes\":262144,"
                    + "\"retryable\":true}\\s*"),
        response::body);
    assertEquals(List.of(), response.headers().allValues("Retry-After"));
  }

  @Test
  void refusal_429WithRetryAfterUnlessARetryCannotHelp() throws Exception {
    start(
        new MemcgFilter(),
        Map.of(MemcgFilter.ON_REFUSAL, "429", MemcgFilter.RETRY_AFTER, "7"),
        (request, response) -> {
          if (request.getRequestURI().equals("/never")) {
            kmalloc.free(kmalloc.allocate(65 * PAGE));
          } else {
            allocateTooMuch();
          }
        });
    HttpResponse<String> response = get("/later");
    assertEquals(429, response.statusCode());
    assertEquals(List.of("7"), response.headers().allValues("Retry-After"));
    assertEquals(507, get("/never").statusCode());
  }

  @Test
  void refusal_withoutFigures_tellsNoMoreThanTheStatus() throws Exception {
    start(
        new MemcgFilter().onRefusal(Refusal.insufficientStorage().withoutFigures()),
        Map.of(),
        (request, response) -> allocateTooMuch());
    HttpResponse<String> response = get("/");
    assertEquals(507, response.statusCode());
    assertEquals("{\"error\":\"memory limit\"}\n", response.body());
  }

  @Test
  void refusal_rethrownOrTooLate_isTheContainersMatter() throws Exception {
    start(
        new MemcgFilter(),
        Map.of(MemcgFilter.ON_REFUSAL, "rethrow"),
        (request, response) -> allocateTooMuch());
    assertEquals(500, get("/").statusCode());
    stop();
    start((request, response) -> {
      response.getWriter().print("begun");
      response.flushBuffer();
      allocateTooMuch();
    });
    IOException broken = assertThrows(IOException.class, () -> get("/"));
    assertTrue(broken.getMessage() != null);
  }

  @Test
  void init_noGroupOrBadParameter_contextDoesNotStart() throws Exception {
    start(new MemcgFilter(), Map.of(MemcgFilter.ON_REFUSAL, "508"), (request, response) -> {});
    assertEquals(404, get("/").statusCode());
    ServletException missing =
        assertThrows(
            ServletException.class,
            () -> {
              Context bare = new Tomcat().addContext("/bare", folder.toString());
              MemcgFilter filter = new MemcgFilter();
              filter.init(new BareConfig(bare.getServletContext()));
            });
    assertTrue(String.valueOf(missing.getMessage()).contains(MemcgFilter.GROUP));
  }

  private record BareConfig(jakarta.servlet.ServletContext context)
      implements jakarta.servlet.FilterConfig {
    @Override
    public String getFilterName() {
      return "memcg";
    }

    @Override
    public jakarta.servlet.ServletContext getServletContext() {
      return context;
    }

    @Override
    public @Nullable String getInitParameter(String name) {
      return null;
    }

    @Override
    public java.util.Enumeration<String> getInitParameterNames() {
      return java.util.Collections.emptyEnumeration();
    }
  }

  // ---- asynchronous requests

  private final class Noting implements AsyncListener {
    @Override
    public void onComplete(AsyncEvent event) {
      note("onComplete");
    }

    @Override
    public void onTimeout(AsyncEvent event) throws IOException {
      note("onTimeout");
      event.getSuppliedResponse().getWriter().print("late");
      event.getAsyncContext().complete();
    }

    @Override
    public void onError(AsyncEvent event) {
      note("onError");
    }

    @Override
    public void onStartAsync(AsyncEvent event) {
      note("onStartAsync");
    }
  }

  private AsyncContext startAsync(HttpServletRequest request, HttpServletResponse response) {
    AsyncContext context = request.startAsync(request, response);
    context.addListener(new Noting(), request, response);
    return context;
  }

  @Test
  void async_startAndComplete_tasksAndListenersArePaid() throws Exception {
    start((request, response) -> {
      AsyncContext context = startAsync(request, response);
      assertEquals(context.getTimeout(), request.getAsyncContext().getTimeout());
      context.start(() -> {
        note("task");
        ObjCgroup.of(group).enter(); // forgotten
        context.complete();
      });
    });
    assertEquals(200, get("/").statusCode());
    expect("task /app", "onComplete /app");
  }

  @Test
  void async_completedByAThreadOfTheApplication_wrappedWorkIsPaid() throws Exception {
    start((request, response) -> {
      AsyncContext context = startAsync(request, response);
      application.execute(
          ObjCgroup.wrap(
              (Runnable)
                  () -> {
                    note("application");
                    context.complete();
                  }));
    });
    assertEquals(200, get("/").statusCode());
    expect("application /app", "onComplete /app");
  }

  @Test
  void async_dispatch_goesThroughTheFilterAgain() throws Exception {
    start((request, response) -> {
      note(request.getDispatcherType().toString());
      if (request.getDispatcherType() == DispatcherType.REQUEST) {
        AsyncContext context = startAsync(request, response);
        context.start(() -> context.dispatch("/again"));
      } else {
        response.getWriter().print("dispatched");
      }
    });
    assertEquals("dispatched", get("/").body());
    expect("REQUEST /app", "ASYNC /app", "onComplete /app");
  }

  @Test
  void async_timeout_listenerIsPaidAndTheRequestEnds() throws Exception {
    start((request, response) -> startAsync(request, response).setTimeout(100));
    assertEquals("late", get("/").body());
    expect("onTimeout /app", "onComplete /app");
  }

  @Test
  void async_dispatchThrows_errorListenerIsPaid() throws Exception {
    start((request, response) -> {
      if (request.getDispatcherType() != DispatcherType.REQUEST) {
        throw new IllegalStateException("meant to");
      }
      AsyncContext context = startAsync(request, response);
      context.start(() -> context.dispatch("/throw"));
    });
    assertEquals(500, get("/").statusCode());
    expect("onError /app", "onComplete /app");
  }

  /**
   * What becomes of the request then is the container's matter: this one waits for the timeout,
   * tells of the error, or drops the connection if its own thread is not yet done with the request;
   * then the client may ask again by itself.
   */
  @Test
  void async_taskThrows_nothingIsLeft() throws Exception {
    start((request, response) -> {
      AsyncContext context = startAsync(request, response);
      context.setTimeout(100);
      context.start(() -> {
        note("task");
        throw new IllegalStateException("meant to");
      });
    });
    boolean isDropped =
        client
            .sendAsync(request("/").build(), HttpResponse.BodyHandlers.ofString())
            .handle((answer, error) -> error != null)
            .join();
    expect("task /app");
    if (!isDropped) {
      List<String> known = List.of("task /app", "onTimeout /app", "onError /app");
      for (String told = ""; !told.equals("onComplete /app"); ) {
        String before = told;
        told = String.valueOf(payers.poll(20, TimeUnit.SECONDS));
        assertTrue(
            told.equals("onComplete /app") || known.contains(told), told + " after " + before);
      }
    }
    stop(); // else more may come
    payers.removeIf(line -> line.endsWith(" /app"));
  }

  @Test
  void async_taskIsRefused_507AndTheRequestEnds() throws Exception {
    start((request, response) -> startAsync(request, response).start(this::allocateTooMuch));
    assertEquals(507, get("/").statusCode());
    expect("onComplete /app");
  }

  @Test
  void async_refusedAfterStartAsync_507AndTheRequestEnds() throws Exception {
    start((request, response) -> {
      startAsync(request, response);
      allocateTooMuch();
    });
    assertEquals(507, get("/").statusCode());
    expect("onComplete /app");
  }

  @Test
  void nonBlocking_readAndWriteListenersArePaid() throws Exception {
    start((request, response) -> {
      AsyncContext context = startAsync(request, response);
      ServletInputStream input = request.getInputStream();
      input.setReadListener(
          new ReadListener() {
            private int nrBytes;

            @Override
            public void onDataAvailable() throws IOException {
              byte[] buffer = new byte[8192];
              while (input.isReady() && !input.isFinished()) {
                nrBytes += Math.max(0, input.read(buffer));
              }
              if (nrBytes == 0) {
                note("onDataAvailable");
              }
            }

            @Override
            public void onAllDataRead() throws IOException {
              note("onAllDataRead");
              var output = response.getOutputStream();
              output.setWriteListener(
                  new WriteListener() {
                    @Override
                    public void onWritePossible() throws IOException {
                      note("onWritePossible");
                      output.write(Integer.toString(nrBytes).getBytes(StandardCharsets.UTF_8));
                      context.complete();
                    }

                    @Override
                    public void onError(Throwable error) {
                      note("onError");
                    }
                  });
            }

            @Override
            public void onError(Throwable error) {
              note("onError");
            }
          });
    });
    HttpRequest request =
        request("/").POST(HttpRequest.BodyPublishers.ofByteArray(new byte[100_000])).build();
    assertEquals("100000", send(request).body());
    expect("onAllDataRead /app", "onWritePossible /app", "onComplete /app");
  }

  @Test
  void async_manyAtOnce_nothingIsLeft() throws Exception {
    start((request, response) -> {
      AsyncContext context = request.startAsync();
      context.setTimeout(50);
      switch (request.getRequestURI()) {
        case "/complete" -> context.start(context::complete);
        case "/timeout" -> {}
        case "/error" ->
            context.start(() -> {
              throw new IllegalStateException("meant to");
            });
        default ->
            context.start(() -> {
              context.complete();
              throw new IllegalStateException("after complete");
            });
      }
    });
    var answers =
        List.of("/complete", "/timeout", "/error", "/late").stream()
            .flatMap(path -> java.util.stream.Stream.generate(() -> path).limit(25))
            .map(path ->
                client.sendAsync(request(path).build(), HttpResponse.BodyHandlers.ofString()))
            .toList();
    int nrAnswered = 0;
    for (var answer : answers) {
      // Tomcat drops some connections of tasks that throw.
      nrAnswered += answer.handle((response, error) -> error == null ? 1 : 0).join();
    }
    assertTrue(nrAnswered >= 50, "answered: " + nrAnswered);
    assertNull(ObjCgroups.of(root).currentScope());
  }
}
