package io.memcg4j.servlet;

import jakarta.servlet.AsyncContext;
import jakarta.servlet.ReadListener;
import jakarta.servlet.ServletInputStream;
import jakarta.servlet.ServletRequest;
import jakarta.servlet.ServletResponse;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletRequestWrapper;
import java.io.IOException;
import org.jspecify.annotations.Nullable;

/** A request whose asynchronous parts are paid for too. */
final class PaidRequest extends HttpServletRequestWrapper {
  private final Payment payment;
  private @Nullable ServletInputStream input;

  private PaidRequest(HttpServletRequest request, Payment payment) {
    super(request);
    this.payment = payment;
  }

  static HttpServletRequest of(HttpServletRequest request, Payment payment) {
    return request instanceof PaidRequest ? request : new PaidRequest(request, payment);
  }

  @Override
  public AsyncContext startAsync() {
    return new PaidAsyncContext(super.startAsync(), payment);
  }

  @Override
  public AsyncContext startAsync(ServletRequest request, ServletResponse response) {
    return new PaidAsyncContext(super.startAsync(request, response), payment);
  }

  @Override
  public AsyncContext getAsyncContext() {
    return new PaidAsyncContext(super.getAsyncContext(), payment);
  }

  @Override
  public ServletInputStream getInputStream() throws IOException {
    ServletInputStream mine = input;
    if (mine == null) {
      mine = new Input(super.getInputStream(), payment);
      input = mine;
    }
    return mine;
  }

  /** The container's stream but for who pays for its listener. */
  private static final class Input extends ServletInputStream {
    private final ServletInputStream stream;
    private final Payment payment;

    Input(ServletInputStream stream, Payment payment) {
      this.stream = stream;
      this.payment = payment;
    }

    @Override
    public void setReadListener(ReadListener listener) {
      stream.setReadListener(
          new ReadListener() {
            @Override
            public void onDataAvailable() throws IOException {
              payment.run(listener::onDataAvailable);
            }

            @Override
            public void onAllDataRead() throws IOException {
              payment.run(listener::onAllDataRead);
            }

            @Override
            public void onError(Throwable error) {
              payment.runTask(() -> listener.onError(error));
            }
          });
    }

    @Override
    public boolean isFinished() {
      return stream.isFinished();
    }

    @Override
    public boolean isReady() {
      return stream.isReady();
    }

    @Override
    public int read() throws IOException {
      return stream.read();
    }

    @Override
    public int read(byte[] into, int from, int count) throws IOException {
      return stream.read(into, from, count);
    }

    @Override
    public long skip(long count) throws IOException {
      return stream.skip(count);
    }

    @Override
    public int available() throws IOException {
      return stream.available();
    }

    @Override
    public void close() throws IOException {
      stream.close();
    }
  }
}
