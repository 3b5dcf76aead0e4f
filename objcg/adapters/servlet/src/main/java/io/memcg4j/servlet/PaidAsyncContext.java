package io.memcg4j.servlet;

import jakarta.servlet.AsyncContext;
import jakarta.servlet.AsyncEvent;
import jakarta.servlet.AsyncListener;
import jakarta.servlet.ServletContext;
import jakarta.servlet.ServletException;
import jakarta.servlet.ServletRequest;
import jakarta.servlet.ServletResponse;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.io.UncheckedIOException;

/** An asynchronous request whose tasks and listeners are paid for by the request's group. */
final class PaidAsyncContext implements AsyncContext {
  private final AsyncContext context;
  private final Payment payment;

  PaidAsyncContext(AsyncContext context, Payment payment) {
    this.context = context;
    this.payment = payment;
  }

  /** A task that is refused memory is answered as a request is, and ends the request. */
  @Override
  public void start(Runnable task) {
    context.start(() -> {
      try {
        payment.runTask(task);
      } catch (RuntimeException e) {
        if (!answer(e)) {
          throw e;
        }
        context.complete();
      }
    });
  }

  private boolean answer(RuntimeException error) {
    // Told apart first: the response of a request that is over already must not be asked for.
    if (Refusal.in(error) == null
        || !(context.getResponse() instanceof HttpServletResponse response)) {
      return false;
    }
    try {
      return payment.onRefusal().answer(error, response);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public void addListener(AsyncListener listener) {
    context.addListener(new PaidListener(listener));
  }

  @Override
  public void addListener(
      AsyncListener listener, ServletRequest request, ServletResponse response) {
    context.addListener(new PaidListener(listener), request, response);
  }

  private final class PaidListener implements AsyncListener {
    private final AsyncListener listener;

    PaidListener(AsyncListener listener) {
      this.listener = listener;
    }

    /** What the listener starts is paid for as well. */
    private AsyncEvent paid(AsyncEvent event) {
      return new AsyncEvent(
          new PaidAsyncContext(event.getAsyncContext(), payment),
          event.getSuppliedRequest(),
          event.getSuppliedResponse(),
          event.getThrowable());
    }

    @Override
    public void onComplete(AsyncEvent event) throws IOException {
      payment.run(() -> listener.onComplete(paid(event)));
    }

    @Override
    public void onTimeout(AsyncEvent event) throws IOException {
      payment.run(() -> listener.onTimeout(paid(event)));
    }

    @Override
    public void onError(AsyncEvent event) throws IOException {
      payment.run(() -> listener.onError(paid(event)));
    }

    @Override
    public void onStartAsync(AsyncEvent event) throws IOException {
      payment.run(() -> listener.onStartAsync(paid(event)));
    }
  }

  @Override
  public ServletRequest getRequest() {
    return context.getRequest();
  }

  @Override
  public ServletResponse getResponse() {
    return context.getResponse();
  }

  @Override
  public boolean hasOriginalRequestAndResponse() {
    return context.hasOriginalRequestAndResponse();
  }

  @Override
  public void dispatch() {
    context.dispatch();
  }

  @Override
  public void dispatch(String path) {
    context.dispatch(path);
  }

  @Override
  public void dispatch(ServletContext target, String path) {
    context.dispatch(target, path);
  }

  @Override
  public void complete() {
    context.complete();
  }

  @Override
  public <T extends AsyncListener> T createListener(Class<T> type) throws ServletException {
    return context.createListener(type);
  }

  @Override
  public void setTimeout(long millis) {
    context.setTimeout(millis);
  }

  @Override
  public long getTimeout() {
    return context.getTimeout();
  }
}
