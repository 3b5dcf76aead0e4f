package io.memcg4j.examples.server;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.slab.Kmalloc;
import java.io.IOException;
import java.nio.file.Path;
import java.util.function.Consumer;

/** The whole server: its tree of groups, its allocator, its tenants, their file, and HTTP. */
final class Application implements AutoCloseable {
  private final MemCgroup root;
  private final Kmalloc kmalloc;
  private final Tenants tenants;
  private final TenantsFileWatch file;
  private final TenantServer server;

  private Application(
      MemCgroup root,
      Kmalloc kmalloc,
      Tenants tenants,
      TenantsFileWatch file,
      TenantServer server) {
    this.root = root;
    this.kmalloc = kmalloc;
    this.tenants = tenants;
    this.file = file;
    this.server = server;
  }

  /**
   * Starts it.
   *
   * @param file which tenants there are
   * @param report is told of changes of the file, and of errors in it
   * @throws TenantsFile.SyntaxException if the file is wrong
   * @throws IOException if it cannot be read, or the port cannot be had
   */
  static Application start(Path file, ServerSettings settings, Consumer<String> report)
      throws IOException, TenantsFile.SyntaxException {
    MemCgroup root = MemCgroup.root();
    Kmalloc kmalloc = Kmalloc.create(root);
    Tenants tenants = new Tenants(kmalloc, root.create("tenants"), settings);
    TenantsFileWatch watch = null;
    TenantServer server = null;
    try {
      watch = TenantsFileWatch.start(file, tenants, report);
      server = TenantServer.start(tenants, settings, watch::error);
      return new Application(root, kmalloc, tenants, watch, server);
    } finally {
      if (server == null) {
        if (watch != null) {
          watch.close();
        }
        tenants.close();
        kmalloc.close();
      }
    }
  }

  int port() {
    return server.port();
  }

  MemCgroup root() {
    return root;
  }

  Kmalloc kmalloc() {
    return kmalloc;
  }

  Tenants tenants() {
    return tenants;
  }

  /** Ends HTTP and removes all tenants. What the allocator still has after that is lost. */
  void stop() {
    server.close();
    file.close();
    tenants.close();
  }

  /**
   * Ends everything.
   *
   * @throws IllegalStateException if something was not freed: says what
   */
  @Override
  public void close() {
    stop();
    kmalloc.close();
  }
}
