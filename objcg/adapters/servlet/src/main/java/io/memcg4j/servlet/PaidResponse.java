package io.memcg4j.servlet;

import jakarta.servlet.ServletOutputStream;
import jakarta.servlet.WriteListener;
import jakarta.servlet.http.HttpServletResponse;
import jakarta.servlet.http.HttpServletResponseWrapper;
import java.io.IOException;
import org.jspecify.annotations.Nullable;

/** A response whose write listener is paid for too. */
final class PaidResponse extends HttpServletResponseWrapper {
  private final Payment payment;
  private @Nullable ServletOutputStream output;

  private PaidResponse(HttpServletResponse response, Payment payment) {
    super(response);
    this.payment = payment;
  }

  static HttpServletResponse of(HttpServletResponse response, Payment payment) {
    return response instanceof PaidResponse ? response : new PaidResponse(response, payment);
  }

  @Override
  public ServletOutputStream getOutputStream() throws IOException {
    ServletOutputStream mine = output;
    if (mine == null) {
      mine = new Output(super.getOutputStream(), payment);
      output = mine;
    }
    return mine;
  }

  /** After a reset the container may be asked for a writer instead. */
  @Override
  public void reset() {
    super.reset();
    output = null;
  }

  /** The container's stream but for who pays for its listener. */
  private static final class Output extends ServletOutputStream {
    private final ServletOutputStream stream;
    private final Payment payment;

    Output(ServletOutputStream stream, Payment payment) {
      this.stream = stream;
      this.payment = payment;
    }

    @Override
    public void setWriteListener(WriteListener listener) {
      stream.setWriteListener(
          new WriteListener() {
            @Override
            public void onWritePossible() throws IOException {
              payment.run(listener::onWritePossible);
            }

            @Override
            public void onError(Throwable error) {
              payment.runTask(() -> listener.onError(error));
            }
          });
    }

    @Override
    public boolean isReady() {
      return stream.isReady();
    }

    @Override
    public void write(int b) throws IOException {
      stream.write(b);
    }

    @Override
    public void write(byte[] bytes, int from, int count) throws IOException {
      stream.write(bytes, from, count);
    }

    @Override
    public void flush() throws IOException {
      stream.flush();
    }

    @Override
    public void close() throws IOException {
      stream.close();
    }
  }
}
