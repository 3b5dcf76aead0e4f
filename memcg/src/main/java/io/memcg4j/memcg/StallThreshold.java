package io.memcg4j.memcg;

import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * From how much waiting in how much time on somebody wants to know.
 *
 * @param full whether full pressure counts, else some
 * @param thresholdMicros {@code 1..windowMicros}
 * @param windowMicros {@code 1..10_000_000}
 */
record StallThreshold(boolean full, long thresholdMicros, long windowMicros) {
  private static final long MAX_WINDOW_MICROS = 10_000_000;

  private static final Pattern FORM = Pattern.compile("(some|full)\\s+(\\d{1,18})\\s+(\\d{1,18})");

  /**
   * Reads what one writes to a pressure file.
   *
   * @throws IllegalArgumentException naming the text and what is legal
   */
  static StallThreshold parse(String text) {
    Matcher form = FORM.matcher(text.strip());
    if (form.matches()) {
      long threshold = Long.parseLong(form.group(2));
      long window = Long.parseLong(form.group(3));
      if (0 < window && window <= MAX_WINDOW_MICROS && 0 < threshold && threshold <= window) {
        return new StallThreshold(form.group(1).equals("full"), threshold, window);
      }
    }
    throw new IllegalArgumentException(
        String.format(
            Locale.ROOT,
            "illegal pressure trigger: text=%s legal=\"some|full THRESHOLD_US WINDOW_US\""
                + " windowUs=1..%d thresholdUs=1..windowUs",
            Printable.quoted(text),
            MAX_WINDOW_MICROS));
  }

  long totalMicros(Pressure pressure) {
    return (full ? pressure.full() : pressure.some()).totalMicros();
  }

  @Override
  public String toString() {
    return (full ? "full " : "some ") + thresholdMicros + " " + windowMicros;
  }

  /** Watches one total. For one thread at a time. */
  static final class Window {
    /*
     * Layout     a window has a start and a length; when it is over the next begins at the look
     *            that found so, and the growth of the last one is kept.
     * Growth     since the start, and of the last window's the part that a sliding window of the
     *            same length would still overlap, as if it had grown evenly.
     * Not        exact: a burst may be counted a little in two windows.
     * guaranteed
     * Origin     the approximation of Linux kernel/sched/psi.c; own code.
     */
    private final StallThreshold threshold;
    private long startNanos;
    private long startMicros;
    private long lastGrowthMicros;
    private long lastLookMicros;
    private boolean grew;
    private boolean pending;
    private boolean fired;
    private long firedNanos;

    Window(StallThreshold threshold) {
      this.threshold = threshold;
    }

    void begin(long now, long totalMicros) {
      startNanos = now;
      startMicros = totalMicros;
      lastLookMicros = totalMicros;
      lastGrowthMicros = 0;
    }

    /**
     * Has a look.
     *
     * @return true if somebody is to be told: at most once in the length of a window, and late
     *     rather than not at all
     */
    boolean look(long now, long totalMicros) {
      grew = hasNews(totalMicros);
      lastLookMicros = totalMicros;
      if (growth(now, totalMicros) >= threshold.thresholdMicros && grew) {
        pending = true;
      }
      if (!pending || (fired && now - firedNanos < windowNanos())) {
        return false;
      }
      pending = false;
      fired = true;
      firedNanos = now;
      return true;
    }

    /** Whether the total has moved since the last look. */
    boolean hasNews(long totalMicros) {
      return totalMicros != lastLookMicros;
    }

    /** Whether the last look saw something that makes another one worthwhile soon. */
    boolean isActive() {
      return grew || pending;
    }

    long windowNanos() {
      return threshold.windowMicros * 1000;
    }

    private long growth(long now, long totalMicros) {
      long elapsed = now - startNanos;
      long growth = totalMicros - startMicros;
      if (elapsed > windowNanos()) {
        begin(now, totalMicros);
        lastGrowthMicros = growth;
        return growth;
      }
      // At most 10 s times 10 s in micros and nanos: far below 2^63.
      long remaining = windowNanos() - elapsed;
      return growth + lastGrowthMicros * (remaining / 1000) / threshold.windowMicros;
    }
  }
}
