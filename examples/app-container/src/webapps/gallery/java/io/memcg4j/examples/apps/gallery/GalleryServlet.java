package io.memcg4j.examples.apps.gallery;

import io.memcg4j.slab.Kmalloc;
import jakarta.servlet.annotation.WebServlet;
import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.util.Objects;
import java.util.concurrent.ConcurrentLinkedDeque;

/**
 * Renders images and keeps each of them in a cache without a bound: {@code POST ?kib=SIZE}. {@code
 * GET} tells how many there are, {@code DELETE} empties the cache. Wants more than its quota, and
 * does not even look whether it gets it: the container's filter answers for it.
 */
@WebServlet("/*")
public final class GalleryServlet extends HttpServlet {
  private static final long serialVersionUID = 1L;
  private static final int DEFAULT_KIB = 256;
  private static final int MAX_KIB = 16 << 10;

  private final transient ConcurrentLinkedDeque<Long> images = new ConcurrentLinkedDeque<>();

  /** Made by the container. */
  public GalleryServlet() {}

  private Kmalloc kmalloc() {
    return (Kmalloc)
        Objects.requireNonNull(getServletContext().getAttribute(Kmalloc.class.getName()));
  }

  @Override
  protected void doPost(HttpServletRequest request, HttpServletResponse response)
      throws IOException {
    String kib = request.getParameter("kib");
    long nrBytes;
    try {
      long nrKib = kib == null ? DEFAULT_KIB : Long.parseLong(kib);
      nrBytes = Math.clamp(nrKib, 1L, MAX_KIB) << 10;
    } catch (NumberFormatException e) {
      response.sendError(HttpServletResponse.SC_BAD_REQUEST);
      return;
    }
    long image = kmalloc().allocate(nrBytes);
    Kmalloc.MEMORY.asSlice(image, nrBytes).fill((byte) images.size());
    images.add(image);
    response.setStatus(HttpServletResponse.SC_CREATED);
  }

  @Override
  protected void doGet(HttpServletRequest request, HttpServletResponse response)
      throws IOException {
    response.setContentType("text/plain");
    response.getWriter().println(images.size());
  }

  @Override
  protected void doDelete(HttpServletRequest request, HttpServletResponse response) {
    destroy();
    response.setStatus(HttpServletResponse.SC_NO_CONTENT);
  }

  @Override
  public void destroy() {
    for (Long image = images.poll(); image != null; image = images.poll()) {
      kmalloc().free(image);
    }
  }
}
