package io.memcg4j.slab;

import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;

/**
 * Where reports of corrupted objects go: to the log, unless somebody listens.
 *
 * <p>Thread-safe.
 */
public final class SlabReports {
  private static final System.Logger LOG = System.getLogger(SlabReports.class.getName());

  private final AtomicLong nrReports = new AtomicLong();
  private volatile Consumer<SlabReport> listener = SlabReports::log;

  SlabReports() {}

  private static void log(SlabReport report) {
    LOG.log(System.Logger.Level.ERROR, report.text());
  }

  /**
   * Gives reports to somebody else than the log. What the listener throws comes out of the
   * operation that found the fault, which has been done all the same: so a test can fail at it.
   *
   * @param to called on the thread that found the fault, with no lock held
   */
  public void listen(Consumer<SlabReport> to) {
    listener = to;
  }

  /** Reports go to the log again. */
  public void listenNoMore() {
    listener = SlabReports::log;
  }

  /**
   * How many there were.
   *
   * @return reports
   */
  public long nrReports() {
    return nrReports.get();
  }

  void report(SlabReport report) {
    nrReports.incrementAndGet();
    listener.accept(report);
  }
}
