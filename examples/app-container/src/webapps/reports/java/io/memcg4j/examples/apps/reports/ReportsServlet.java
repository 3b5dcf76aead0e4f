package io.memcg4j.examples.apps.reports;

import io.memcg4j.slab.Kmalloc;
import jakarta.servlet.AsyncContext;
import jakarta.servlet.annotation.WebServlet;
import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Objects;

/**
 * Makes reports of linked pages, asynchronously: {@code POST ?pages=NUMBER}. It keeps the first
 * page of each in a static list and forgets to free them when it is undeployed, as applications do.
 */
@WebServlet(urlPatterns = "/*", asyncSupported = true)
public final class ReportsServlet extends HttpServlet {
  private static final long serialVersionUID = 1L;
  private static final int PAGE_BYTES = 4096;
  private static final int MAX_PAGES = 1024;
  private static final ValueLayout.OfLong NEXT_PAGE = ValueLayout.JAVA_LONG;

  private record Report(long firstPage) {}

  private static final List<Report> REPORTS = Collections.synchronizedList(new ArrayList<>());

  /** Made by the container. */
  public ReportsServlet() {}

  private Kmalloc kmalloc() {
    return (Kmalloc)
        Objects.requireNonNull(getServletContext().getAttribute(Kmalloc.class.getName()));
  }

  @Override
  protected void doPost(HttpServletRequest request, HttpServletResponse response)
      throws IOException {
    String pages = request.getParameter("pages");
    int nrPages;
    try {
      nrPages = Math.clamp(pages == null ? 1 : Integer.parseInt(pages), 1, MAX_PAGES);
    } catch (NumberFormatException e) {
      response.sendError(HttpServletResponse.SC_BAD_REQUEST);
      return;
    }
    AsyncContext context = request.startAsync(request, response);
    context.start(() -> {
      try {
        REPORTS.add(new Report(write(nrPages)));
        response.setStatus(HttpServletResponse.SC_CREATED);
        response.getWriter().println(REPORTS.size());
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
      context.complete();
    });
  }

  private long write(int nrPages) {
    long next = 0;
    for (int page = 0; page < nrPages; page++) {
      long address = kmalloc().allocateZeroed(PAGE_BYTES);
      Kmalloc.MEMORY.set(NEXT_PAGE, address, next);
      next = address;
    }
    return next;
  }
}
