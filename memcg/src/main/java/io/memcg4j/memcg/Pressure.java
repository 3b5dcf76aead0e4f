package io.memcg4j.memcg;

import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * How much time was lost by waiting for memory. The text form is that of {@code memory.pressure}.
 *
 * @param some time in which at least one thread waited
 * @param full time in which at least one thread waited and none was productive
 */
public record Pressure(Line some, Line full) {
  /** Nobody ever waited. */
  public static final Pressure NONE = new Pressure(Line.NONE, Line.NONE);

  /**
   * One kind of pressure. The averages are shares of time in percent that fade with age.
   *
   * @param avg10 over about ten seconds
   * @param avg60 over about a minute
   * @param avg300 over about five minutes
   * @param totalMicros since the beginning; never falls
   */
  public record Line(double avg10, double avg60, double avg300, long totalMicros) {
    /** Nobody ever waited. */
    public static final Line NONE = new Line(0, 0, 0, 0);

    private static final Pattern FORM =
        Pattern.compile(
            "(some|full) avg10=(\\d+\\.\\d+) avg60=(\\d+\\.\\d+) avg300=(\\d+\\.\\d+) total=(\\d{1,18})");

    /**
     * The form of the kernel without the name in front.
     *
     * @return {@code avg10=0.00 avg60=0.00 avg300=0.00 total=0}
     */
    @Override
    public String toString() {
      return String.format(
          Locale.ROOT,
          "avg10=%.2f avg60=%.2f avg300=%.2f total=%d",
          avg10,
          avg60,
          avg300,
          totalMicros);
    }
  }

  /**
   * Reads the text of a pressure file.
   *
   * @param text lines that begin with {@code some} and {@code full}; a missing one reads as none
   * @return the figures
   * @throws IllegalArgumentException if there is any other line, or no line at all
   */
  public static Pressure parse(String text) {
    Line some = null;
    Line full = null;
    for (String line : text.strip().split("\n", -1)) {
      Matcher form = Line.FORM.matcher(line.strip());
      if (!form.matches()) {
        throw new IllegalArgumentException(
            "illegal pressure: line=\""
                + line
                + "\" legal=\"some|full avg10=0.00 avg60=0.00 avg300=0.00 total=0\"");
      }
      Line parsed =
          new Line(
              Double.parseDouble(form.group(2)),
              Double.parseDouble(form.group(3)),
              Double.parseDouble(form.group(4)),
              Long.parseLong(form.group(5)));
      if (form.group(1).equals("some")) {
        some = parsed;
      } else {
        full = parsed;
      }
    }
    return new Pressure(some == null ? Line.NONE : some, full == null ? Line.NONE : full);
  }

  /**
   * The two lines of the kernel's file.
   *
   * @return {@code some avg10=...} and {@code full avg10=...}, without a line end after the last
   */
  @Override
  public String toString() {
    return "some " + some + "\nfull " + full;
  }
}
