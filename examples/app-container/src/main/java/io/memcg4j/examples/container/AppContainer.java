package io.memcg4j.examples.container;

import io.memcg4j.leak.Kmemleak;
import io.memcg4j.memcg.ContainerMemory;
import io.memcg4j.memcg.ContainerWatch;
import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.servlet.MemcgFilter;
import io.memcg4j.slab.Kmalloc;
import jakarta.servlet.DispatcherType;
import jakarta.servlet.http.HttpServlet;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentSkipListMap;
import org.apache.catalina.Context;
import org.apache.catalina.LifecycleException;
import org.apache.catalina.LifecycleState;
import org.apache.catalina.connector.Connector;
import org.apache.catalina.core.StandardContext;
import org.apache.catalina.startup.ContextConfig;
import org.apache.catalina.startup.Tomcat;
import org.apache.tomcat.util.descriptor.web.FilterDef;
import org.apache.tomcat.util.descriptor.web.FilterMap;
import org.jspecify.annotations.Nullable;

/**
 * Tomcat with a memory control group for each web application.
 *
 * <p>The root takes its limit from the container of the operating system, and follows it; below it
 * {@code /apps} holds a group per application. An application's requests are paid for through
 * {@link MemcgFilter}, its start and stop here.
 */
final class AppContainer implements AutoCloseable {
  /*
   * Invariant  an application's group exists while it is deployed. What it has not freed when it is
   *            undeployed is inherited by /apps, and listed under the removed group's path.
   */
  private final Path webapps;
  private final Path work;
  private final ContainerMemory os;
  private final ContainerWatch watch;
  private final MemCgroup root = MemCgroup.root();
  private final MemCgroup apps = root.create("apps");
  private final Kmalloc kmalloc = Kmalloc.create(root);
  private final Kmemleak leaks;
  private final Tomcat tomcat = new Tomcat();
  private final Connector connector = new Connector();
  private final Map<String, Application> deployed = new ConcurrentSkipListMap<>();

  /**
   * Starts without applications, and without a port until {@link #open}.
   *
   * @param webapps a folder per application, as the build leaves them
   * @param os what the root's limit comes from
   * @param port on loopback; 0 for any
   */
  AppContainer(Path webapps, ContainerMemory os, int port) throws IOException, LifecycleException {
    this.webapps = webapps;
    this.os = os;
    this.work = Files.createTempDirectory("memcg4j-tomcat");
    this.leaks = Kmemleak.builder(kmalloc).minAge(Duration.ZERO).build();
    watch = os.watch(Duration.ofSeconds(5), budget -> root.setMax(budget.rootMax()));
    root.setMax(os.budget().rootMax());
    kmalloc.profile().exact(); // some microseconds each; sample() where there are many
    tomcat.setBaseDir(work.toString());
    connector.setPort(port);
    connector.setProperty("address", "127.0.0.1");
    tomcat.getHost().setAutoDeploy(false);
    tomcat.start();
  }

  /** Takes requests from now on, so that none comes before its application is deployed. */
  void open() {
    tomcat.setConnector(connector);
  }

  int port() {
    return connector.getLocalPort();
  }

  MemCgroup root() {
    return root;
  }

  MemCgroup apps() {
    return apps;
  }

  Kmalloc kmalloc() {
    return kmalloc;
  }

  Kmemleak leaks() {
    return leaks;
  }

  ContainerMemory os() {
    return os;
  }

  List<Application> deployed() {
    return List.copyOf(deployed.values());
  }

  @Nullable Application find(String name) {
    return deployed.get(name);
  }

  /**
   * Deploys an application at {@code /NAME}.
   *
   * @param maxBytes its quota
   * @throws LifecycleException if it does not start; its group is gone then
   */
  Application deploy(String name, long maxBytes) throws LifecycleException {
    if (!Files.isDirectory(webapps.resolve(name)) || deployed.containsKey(name)) {
      throw new IllegalArgumentException(
          "no such application, or deployed already: name=" + name + " folder=" + webapps);
    }
    MemCgroup group = apps.create(name);
    group.setMax(maxBytes);
    StandardContext context = new StandardContext();
    context.setParent(tomcat.getHost());
    context.setName(name);
    context.setPath("/" + name);
    context.setDocBase(webapps.resolve(name).toString());
    context.setWorkDir(work.resolve(name).toString());
    ContextConfig config = new ContextConfig();
    config.setDefaultWebXml(tomcat.noDefaultWebXmlPath()); // servlets declare themselves
    context.addLifecycleListener(config);
    // Its searches for leaks reach into java.base, which is closed; here the leak scan does better.
    context.setClearReferencesRmiTargets(false);
    context.setClearReferencesThreadLocals(false);
    context.getServletContext().setAttribute(Kmalloc.class.getName(), kmalloc);
    context.getServletContext().setAttribute(MemcgFilter.GROUP, group);
    addFilter(context);
    Application application = new Application(name, group, context);
    try (Scope _ = ObjCgroup.of(group).enter()) {
      tomcat.getHost().addChild(context);
    }
    if (context.getState() != LifecycleState.STARTED) {
      undeploy(application);
      throw new LifecycleException("does not start: name=" + name + " docBase=" + webapps);
    }
    deployed.put(name, application);
    return application;
  }

  /** A servlet of the container itself, at the root. */
  void serve(HttpServlet servlet) {
    Context context = tomcat.addContext("", work.toString());
    Tomcat.addServlet(context, "container", servlet);
    context.addServletMappingDecoded("", "container");
  }

  private static void addFilter(StandardContext context) {
    FilterDef def = new FilterDef();
    def.setFilterName("memcg");
    def.setFilter(new MemcgFilter());
    def.setAsyncSupported("true");
    context.addFilterDef(def);
    FilterMap map = new FilterMap();
    map.setFilterName("memcg");
    map.addURLPattern("/*");
    for (DispatcherType type : DispatcherType.values()) {
      map.setDispatcher(type.name());
    }
    context.addFilterMap(map);
  }

  /** Stops an application and removes its group, whatever it still holds. */
  void undeploy(Application application) {
    deployed.remove(application.name());
    try (Scope _ = ObjCgroup.of(application.group()).enter()) {
      tomcat.getHost().removeChild(application.context());
    }
    application.group().remove();
  }

  /** Undeploys all and stops. A second time does nothing. */
  @Override
  public void close() throws LifecycleException, IOException {
    if (tomcat.getServer().getState() == LifecycleState.DESTROYED) {
      return;
    }
    deployed().forEach(this::undeploy);
    tomcat.stop();
    tomcat.destroy();
    watch.close();
    try (var files = Files.walk(work)) {
      for (Path file : files.sorted((a, b) -> b.compareTo(a)).toList()) {
        Files.delete(file);
      }
    }
    kmalloc.close();
  }
}
