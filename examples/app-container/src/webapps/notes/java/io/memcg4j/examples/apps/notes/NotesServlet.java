package io.memcg4j.examples.apps.notes;

import io.memcg4j.slab.Kmalloc;
import io.memcg4j.slab.ReadSection;
import jakarta.servlet.annotation.WebServlet;
import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Objects;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Keeps short texts off-heap: {@code PUT}, {@code GET} and {@code DELETE} of {@code /notes/NAME}.
 * Well behaved: what it replaces it frees, and when it is undeployed it frees everything.
 */
@WebServlet("/*")
public final class NotesServlet extends HttpServlet {
  private static final long serialVersionUID = 1L;
  private static final int MAX_BYTES = 64 << 10;

  private record Note(long address, int nrBytes) {}

  private final transient ConcurrentHashMap<String, Note> notes = new ConcurrentHashMap<>();

  /** Made by the container. */
  public NotesServlet() {}

  /** The container's allocator. The container's filter sees to it that this application pays. */
  private Kmalloc kmalloc() {
    return (Kmalloc)
        Objects.requireNonNull(getServletContext().getAttribute(Kmalloc.class.getName()));
  }

  @Override
  protected void doPut(HttpServletRequest request, HttpServletResponse response)
      throws IOException {
    byte[] text = request.getInputStream().readNBytes(MAX_BYTES + 1);
    if (text.length > MAX_BYTES) {
      response.sendError(HttpServletResponse.SC_REQUEST_ENTITY_TOO_LARGE);
      return;
    }
    long address = kmalloc().allocate(Math.max(1, text.length));
    MemorySegment.copy(text, 0, Kmalloc.MEMORY, ValueLayout.JAVA_BYTE, address, text.length);
    free(notes.put(request.getRequestURI(), new Note(address, text.length)));
    response.setStatus(HttpServletResponse.SC_NO_CONTENT);
  }

  @Override
  protected void doGet(HttpServletRequest request, HttpServletResponse response)
      throws IOException {
    byte[] text;
    try (ReadSection _ = kmalloc().readSection()) { // a note found inside stays until its end
      Note note = notes.get(request.getRequestURI());
      if (note == null) {
        text = null;
      } else {
        text = new byte[note.nrBytes()];
        MemorySegment.copy(
            Kmalloc.MEMORY, ValueLayout.JAVA_BYTE, note.address(), text, 0, text.length);
      }
    }
    if (text == null) {
      response.sendError(HttpServletResponse.SC_NOT_FOUND);
      return;
    }
    response.setContentType("text/plain");
    response.getOutputStream().write(text);
  }

  @Override
  protected void doDelete(HttpServletRequest request, HttpServletResponse response) {
    free(notes.remove(request.getRequestURI()));
    response.setStatus(HttpServletResponse.SC_NO_CONTENT);
  }

  private void free(Note note) {
    if (note != null) {
      kmalloc().freeDeferred(note.address());
    }
  }

  @Override
  public void destroy() {
    notes.keySet().forEach(name -> free(notes.remove(name)));
  }
}
