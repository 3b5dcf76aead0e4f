package io.memcg4j.servlet;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import jakarta.servlet.Filter;
import jakarta.servlet.FilterChain;
import jakarta.servlet.FilterConfig;
import jakarta.servlet.ServletException;
import jakarta.servlet.ServletRequest;
import jakarta.servlet.ServletResponse;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * Has each request paid for by a group: that of the web application, or one per request.
 *
 * <p>The group is entered before the rest of the chain and left after it, whatever happens there.
 * It follows asynchronous requests: tasks that are given to {@code AsyncContext.start}, listeners
 * of the context, and read and write listeners run in the group too; work that the application
 * gives to threads of its own does with {@link ObjCgroup#wrap(Runnable)}. A group that was removed
 * meanwhile is no obstacle: its parent pays.
 *
 * <p>Put it first in the chain, for all dispatcher types, with asynchronous support on:
 *
 * <pre>{@code
 * var filter = servletContext.addFilter("memcg", MemcgFilter.of(group));
 * filter.setAsyncSupported(true);
 * filter.addMappingForUrlPatterns(EnumSet.allOf(DispatcherType.class), false, "/*");
 * }</pre>
 *
 * <p>In {@code web.xml} the group is what the container put into the servlet context's attribute
 * {@value #GROUP}, and the init parameters are {@value #ON_REFUSAL} ({@code 507}, the default,
 * {@code 429} or {@code rethrow}) and {@value #RETRY_AFTER} (seconds, default 1).
 *
 * <p>Costs an outermost scope per request, see ARCHITECTURE.md.
 */
public final class MemcgFilter implements Filter {
  /*
   * Invariant  no scope is open on the container's thread when the chain, a task or a listener is
   *            over, also if it left scopes of its own open.
   * Not        that initialization and destruction of the application are paid for: they do not go
   * guaranteed through filters. Who deploys it enters the group around them.
   */

  /** Attribute of the servlet context that names the group: a {@link MemCgroup}. */
  public static final String GROUP = "io.memcg4j.servlet.group";

  /** Init parameter: what becomes of a request that is refused memory. */
  public static final String ON_REFUSAL = "onRefusal";

  /** Init parameter: seconds for {@code Retry-After}. */
  public static final String RETRY_AFTER = "retryAfterSeconds";

  /** Attribute of a request that was resolved, for its later dispatches. */
  private static final String PAYER = "io.memcg4j.servlet.payer";

  private final @Nullable Function<HttpServletRequest, @Nullable MemCgroup> resolver;
  private @Nullable ObjCgroup payer;
  private Refusal onRefusal;

  /** For containers and {@code web.xml}: the group comes from the servlet context. */
  public MemcgFilter() {
    this(null, null, Refusal.insufficientStorage());
  }

  private MemcgFilter(
      @Nullable ObjCgroup payer,
      @Nullable Function<HttpServletRequest, @Nullable MemCgroup> resolver,
      Refusal onRefusal) {
    this.payer = payer;
    this.resolver = resolver;
    this.onRefusal = onRefusal;
  }

  /**
   * One group for all requests.
   *
   * @param group who pays
   * @return answers refusals with {@link Refusal#insufficientStorage}
   */
  public static MemcgFilter of(MemCgroup group) {
    return new MemcgFilter(ObjCgroup.of(group), null, Refusal.insufficientStorage());
  }

  /**
   * A group for each request, such as that of its tenant. Asked once per request: later dispatches
   * of it are paid for by the same group.
   *
   * @param resolver gives the group, or null if nobody is to pay
   * @return answers refusals with {@link Refusal#insufficientStorage}
   */
  public static MemcgFilter by(Function<HttpServletRequest, @Nullable MemCgroup> resolver) {
    return new MemcgFilter(null, resolver, Refusal.insufficientStorage());
  }

  /**
   * The same with another answer to refusals.
   *
   * @param refusal what becomes of a request that is refused memory
   * @return a copy; init parameters take precedence
   */
  public MemcgFilter onRefusal(Refusal refusal) {
    return new MemcgFilter(payer, resolver, refusal);
  }

  /**
   * Reads the init parameters.
   *
   * @throws ServletException if there is no group, or a parameter is bad
   */
  @Override
  public void init(FilterConfig config) throws ServletException {
    if (payer == null && resolver == null) {
      if (!(config.getServletContext().getAttribute(GROUP) instanceof MemCgroup group)) {
        throw new ServletException("no group: set attribute " + GROUP + " of the servlet context");
      }
      payer = ObjCgroup.of(group);
    }
    String refusal = config.getInitParameter(ON_REFUSAL);
    if (refusal != null) {
      try {
        String seconds = config.getInitParameter(RETRY_AFTER);
        onRefusal = Refusal.parse(refusal, seconds == null ? 1 : Long.parseLong(seconds));
      } catch (IllegalArgumentException e) {
        throw new ServletException(e.getMessage(), e);
      }
    }
  }

  @Override
  public void doFilter(ServletRequest request, ServletResponse response, FilterChain chain)
      throws IOException, ServletException {
    if (!(request instanceof HttpServletRequest http)
        || !(response instanceof HttpServletResponse answer)) {
      chain.doFilter(request, response); // there are no others in a container of today
      return;
    }
    ObjCgroup pays = payerOf(http);
    if (pays == null) {
      chain.doFilter(request, response);
      return;
    }
    try {
      Scope scope = pays.enter();
      try {
        Payment payment = new Payment(pays, onRefusal);
        chain.doFilter(PaidRequest.of(http, payment), PaidResponse.of(answer, payment));
      } finally {
        scope.unwind();
      }
    } catch (IOException | ServletException | RuntimeException e) {
      if (!onRefusal.answer(e, answer)) {
        throw e;
      }
      if (request.isAsyncStarted()) {
        request.getAsyncContext().complete();
      }
    }
  }

  private @Nullable ObjCgroup payerOf(HttpServletRequest request) {
    Function<HttpServletRequest, @Nullable MemCgroup> resolve = resolver;
    if (resolve == null) {
      return payer;
    }
    if (request.getAttribute(PAYER) instanceof ObjCgroup known) {
      return known;
    }
    MemCgroup group = resolve.apply(request);
    if (group == null) {
      return null;
    }
    ObjCgroup handle = ObjCgroup.of(group);
    request.setAttribute(PAYER, handle);
    return handle;
  }
}
