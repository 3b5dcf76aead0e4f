package io.memcg4j.console;

import com.sun.net.httpserver.HttpServer;
import io.memcg4j.leak.Kmemleak;
import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.slab.Kmalloc;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.System.Logger.Level;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import org.jspecify.annotations.Nullable;

/**
 * Looks into and steers the groups, slabs and leaks of this JVM, over HTTP on loopback and as a web
 * page. The package lists the resources.
 *
 * <pre>{@code
 * try (Console console = Console.builder(kmalloc).leaks(kmemleak).start()) {
 *   System.out.println(console.page());
 *   ...
 * }
 * }</pre>
 *
 * <p>Who has no token only reads. Nothing that it does holds up an allocation: groups are read once
 * a second for all clients together, each client has a queue of its own, and what it keeps is
 * bounded (per group some 300 bytes; 15 minutes of at most 64 groups, 3 MB; 256 requests at once).
 * It does not keep the JVM from its end. Any thread.
 */
public final class Console implements AutoCloseable {
  /*
   * Layout     HttpServer > Connections (a virtual thread and a deadline for each request) >
   *            ControlPlane (access) > Resource. Ticker beside it, on the one timer thread.
   * Not        what other users of this machine may read: see Builder.readsNeedToken.
   * guaranteed
   */
  /** Time for a client to send the head of a request, or its body, or to take an answer. */
  static final Duration IO_LIMIT = Duration.ofSeconds(10);

  private static final System.Logger LOGGER = System.getLogger(Console.class.getName());
  private static final int BACKLOG = 64;
  private static final byte[] LOOPBACK = {127, 0, 0, 1};

  private final String token;
  private final URI uri;
  private final HttpServer server;
  private final ScheduledThreadPoolExecutor timer;
  private final Connections connections;
  private final Ticker ticker;
  private final MetricsResource metrics;
  private final @Nullable Path registered;

  private Console(Builder builder) throws IOException {
    InetSocketAddress address =
        new InetSocketAddress(InetAddress.getByAddress(LOOPBACK), builder.port);
    server = HttpServer.create(address, BACKLOG);
    uri = URI.create("http://127.0.0.1:" + server.getAddress().getPort() + "/");
    token = Access.newToken();
    timer =
        new ScheduledThreadPoolExecutor(
            1, Thread.ofPlatform().name("memcg4j-console").daemon().factory());
    timer.setRemoveOnCancelPolicy(true);
    connections = new Connections(timer, builder.ioLimit);
    MemCgroup root = builder.kmalloc.root();
    ticker = new Ticker(root, timer, builder.period);
    metrics = new MetricsResource(root);
    server.setExecutor(connections);
    server.createContext(
        "/",
        new ControlPlane(
            new Access(token, builder.readsNeedToken),
            connections,
            builder.ioLimit,
            resources(builder, root),
            new Page()));
    startDaemon(server, timer);
    registered = builder.isListed ? register(builder.name) : null;
  }

  /**
   * The server's thread is a daemon if it is started by one: a console keeps no JVM from its end.
   */
  private static void startDaemon(HttpServer server, ScheduledThreadPoolExecutor daemon) {
    CompletableFuture.runAsync(server::start, daemon).join();
  }

  private Map<String, Resource> resources(Builder builder, MemCgroup root) {
    SlabResources slabs = new SlabResources(builder.kmalloc);
    Map<String, Resource> resources = new HashMap<>();
    resources.put("groups", new GroupFiles(root));
    resources.put("tree", request -> request.reply(Request.JSON, ticker.tree() + "\n"));
    resources.put(
        "history",
        request ->
            request.reply(Request.JSON, ticker.history(GroupFiles.namesBelow(request)) + "\n"));
    resources.put("slabinfo", slabs.slabinfo());
    resources.put("vmallocinfo", slabs.vmallocinfo());
    resources.put("stat", slabs.stat());
    resources.put("kmemleak", new LeakResource(builder.leaks));
    resources.put("profile", new ProfileResource(builder.kmalloc.profile()));
    resources.put("metrics", metrics);
    resources.put("events", StreamResource.events(ticker));
    resources.put("live", StreamResource.live(ticker));
    resources.put("about", new About(builder.name, Instant.now()));
    return resources;
  }

  private @Nullable Path register(String name) {
    try {
      return ConsoleDirectory.ofThisUser()
          .register(
              new RunningConsole(ProcessHandle.current().pid(), name, uri, token, Instant.now()));
    } catch (IOException | UnsupportedOperationException e) {
      LOGGER.log(Level.WARNING, "console is not listed, and found by its address only", e);
      return null;
    }
  }

  /**
   * A console to be started.
   *
   * @param kmalloc whose memory is shown, and whose tree of groups
   * @return a builder with the defaults: any free port, no leak scanner
   */
  public static Builder builder(Kmalloc kmalloc) {
    return new Builder(kmalloc);
  }

  /** Settings of a console. For one thread. */
  public static final class Builder {
    private static final int MAX_PORT = 65_535;
    private static final Duration MIN_PERIOD = Duration.ofMillis(100);
    private static final Duration MAX_PERIOD = Duration.ofMinutes(1);

    private final Kmalloc kmalloc;
    private @Nullable Kmemleak leaks;
    private int port;
    private String name = About.mainClass();
    private Duration period = Duration.ofSeconds(1);
    private Duration ioLimit = IO_LIMIT;
    private boolean readsNeedToken;
    private boolean isListed = true;

    private Builder(Kmalloc kmalloc) {
      this.kmalloc = kmalloc;
    }

    /**
     * Shows leaks, and takes kmemleak's commands.
     *
     * @param kmemleak the scanner of the same allocator
     * @return this
     */
    public Builder leaks(Kmemleak kmemleak) {
      leaks = kmemleak;
      return this;
    }

    /**
     * Sets the port.
     *
     * @param number 1 to 65535, or 0 for any that is free
     * @return this
     * @throws IllegalArgumentException if out of range
     */
    public Builder port(int number) {
      if (number < 0 || number > MAX_PORT) {
        throw new IllegalArgumentException(
            "port out of range: port=" + number + " legal=0.." + MAX_PORT);
      }
      port = number;
      return this;
    }

    /**
     * Sets what this JVM is called in the page and in {@link ConsoleDirectory}.
     *
     * @param text the main class if nothing else is said
     * @return this
     */
    public Builder name(String text) {
      name = text;
      return this;
    }

    /**
     * Sets how often the groups are read.
     *
     * @param time 100 ms to a minute; a second if nothing else is said. The history has 900 of
     *     them.
     * @return this
     * @throws IllegalArgumentException if out of range
     */
    public Builder period(Duration time) {
      if (time.compareTo(MIN_PERIOD) < 0 || time.compareTo(MAX_PERIOD) > 0) {
        throw new IllegalArgumentException(
            "period out of range: period=" + time + " legal=" + MIN_PERIOD + ".." + MAX_PERIOD);
      }
      period = time;
      return this;
    }

    /**
     * Also reading needs the token: for machines with users who must not see names and sizes.
     *
     * @return this
     */
    public Builder readsNeedToken() {
      readsNeedToken = true;
      return this;
    }

    /**
     * Leaves no file for {@link ConsoleDirectory}: found by who knows address and token.
     *
     * @return this
     */
    public Builder unlisted() {
      isListed = false;
      return this;
    }

    /** For tests that do not want to wait. */
    Builder ioLimit(Duration limit) {
      ioLimit = limit;
      return this;
    }

    /**
     * Starts it.
     *
     * @return a console that serves
     * @throws UncheckedIOException if the port cannot be taken
     */
    public Console start() {
      try {
        return new Console(this);
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }

  /**
   * Where it is.
   *
   * @return {@code http://127.0.0.1:PORT/}
   */
  public URI uri() {
    return uri;
  }

  /**
   * What lets its holder write: {@code Authorization: Bearer TOKEN}. New at each start.
   *
   * @return 43 characters of base64url
   */
  public String token() {
    return token;
  }

  /**
   * The web page with the right to write, to be opened by who started this. The token is in the
   * fragment, which browsers do not send.
   *
   * @return a URI that is as secret as the token
   */
  public URI page() {
    return URI.create(uri + "#token=" + token);
  }

  /** Stops serving, ends all streams, removes its file. A second time: nothing. */
  @Override
  public void close() {
    ticker.close();
    connections.close();
    server.stop(0);
    metrics.close();
    timer.shutdownNow();
    if (registered != null) {
      try {
        Files.deleteIfExists(registered);
      } catch (IOException e) {
        LOGGER.log(Level.WARNING, "file of the console is left: path=" + registered, e);
      }
    }
  }

  /** Where it is, without the token. */
  @Override
  public String toString() {
    return "Console[uri=" + uri + "]";
  }
}
