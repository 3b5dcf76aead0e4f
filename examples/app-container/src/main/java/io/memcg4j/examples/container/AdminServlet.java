package io.memcg4j.examples.container;

import io.memcg4j.memcg.MemCgroup;
import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.io.PrintWriter;
import java.util.Locale;
import org.apache.catalina.LifecycleException;

/** The container's own page, in no group: the groups, and applications that come and go. */
final class AdminServlet extends HttpServlet {
  private static final long serialVersionUID = 1L;
  private static final long DEFAULT_MAX_MIB = 16;

  private final transient AppContainer container;

  private AdminServlet(AppContainer container) {
    this.container = container;
  }

  static void addTo(AppContainer container) {
    container.serve(new AdminServlet(container));
  }

  @Override
  protected void doGet(HttpServletRequest request, HttpServletResponse response)
      throws IOException {
    response.setContentType("text/plain");
    PrintWriter out = response.getWriter();
    container.root().flush();
    out.printf(
        Locale.ROOT, "%-20s %12s %12s %12s %8s%n", "group", "usage", "peak", "max", "refused");
    print(out, container.root());
    print(out, container.apps());
    container.deployed().forEach(application -> print(out, application.group()));
    out.println();
    out.println("objects by the group they were allocated in:");
    Holdings.of(container.kmalloc())
        .forEach((group, held) ->
            out.printf(
                Locale.ROOT,
                "%-20s %12d objects %12d bytes%n",
                group,
                held.nrObjects(),
                held.nrBytes()));
    out.println();
    out.println("POST /?undeploy=NAME   POST /?deploy=NAME[&mib=QUOTA]   POST /?scan");
  }

  private static void print(PrintWriter out, MemCgroup group) {
    out.printf(
        Locale.ROOT,
        "%-20s %12d %12d %12s %8d%n",
        group.path(),
        group.usage(),
        group.peak(),
        group.max() == MemCgroup.UNLIMITED ? "max" : Long.toString(group.max()),
        group.events().max());
  }

  @Override
  protected void doPost(HttpServletRequest request, HttpServletResponse response)
      throws IOException {
    response.setContentType("text/plain");
    String undeploy = request.getParameter("undeploy");
    String deploy = request.getParameter("deploy");
    if (undeploy != null) {
      Application application = container.find(undeploy);
      if (application == null) {
        response.sendError(HttpServletResponse.SC_NOT_FOUND);
        return;
      }
      container.undeploy(application);
    } else if (deploy != null) {
      String mib = request.getParameter("mib");
      try {
        long maxMib = mib == null ? DEFAULT_MAX_MIB : Math.clamp(Long.parseLong(mib), 1, 1 << 20);
        container.deploy(deploy, maxMib << 20);
      } catch (IllegalArgumentException | IllegalStateException | LifecycleException e) {
        response.sendError(HttpServletResponse.SC_BAD_REQUEST, e.getMessage());
        return;
      }
    } else if (request.getParameter("scan") != null) {
      response.getWriter().print(container.leaks().scan());
      return;
    }
    doGet(request, response);
  }
}
