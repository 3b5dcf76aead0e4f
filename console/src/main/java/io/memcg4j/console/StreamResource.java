package io.memcg4j.console;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;

/** Server-sent events: all groups live, or what happens to groups. */
final class StreamResource implements Resource {
  private static final String TYPE = "text/event-stream; charset=utf-8";

  /** A connection that is gone is found out by writing to it. */
  private static final long HEARTBEAT_MILLIS = 10_000;

  private static final byte[] HEARTBEAT = ": \n\n".getBytes(StandardCharsets.UTF_8);

  /** Of deltas, which may be large; who has lost one starts anew anyway. */
  private static final int MAX_DELTAS = 4;

  private static final int MAX_EVENTS = 64;

  private final Ticker ticker;
  private final boolean isLive;

  private StreamResource(Ticker ticker, boolean isLive) {
    this.ticker = ticker;
    this.isLive = isLive;
  }

  static Resource live(Ticker ticker) {
    return new StreamResource(ticker, true);
  }

  static Resource events(Ticker ticker) {
    return new StreamResource(ticker, false);
  }

  @Override
  public void get(Request request) throws IOException {
    Subscriber subscriber = new Subscriber(isLive ? MAX_DELTAS : MAX_EVENTS);
    try {
      byte[] first = HEARTBEAT;
      if (isLive) {
        first = ticker.subscribeLive(subscriber);
      } else {
        ticker.subscribeEvents(subscriber);
      }
      OutputStream out = request.stream(TYPE);
      request.write(out, first);
      while (true) {
        request.write(out, next(subscriber));
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt(); // the console is closed
    } finally {
      ticker.unsubscribe(subscriber);
    }
  }

  private byte[] next(Subscriber subscriber) throws InterruptedException {
    byte[] message = subscriber.poll(HEARTBEAT_MILLIS);
    long nrLost = subscriber.takeLost();
    if (nrLost != 0 && isLive) {
      return ticker.resync(subscriber, nrLost);
    }
    if (message == null) {
      message = HEARTBEAT;
    }
    if (nrLost == 0) {
      return message;
    }
    String lost = "event: lost\ndata: {\"lost\":" + nrLost + "}\n\n";
    return concat(message, lost.getBytes(StandardCharsets.UTF_8));
  }

  private static byte[] concat(byte[] first, byte[] second) {
    byte[] both = new byte[first.length + second.length];
    System.arraycopy(first, 0, both, 0, first.length);
    System.arraycopy(second, 0, both, first.length, second.length);
    return both;
  }
}
