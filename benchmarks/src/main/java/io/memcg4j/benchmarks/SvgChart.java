package io.memcg4j.benchmarks;

import java.util.Locale;

/**
 * A drawing as the text of an SVG file, {@link #WIDTH} wide: what {@link BarChart} and {@link
 * LineChart} are made with. It has a title and a description for those who cannot see it, a ground
 * and colours for light and dark, and needs no font, script or other file. Not thread-safe.
 */
final class SvgChart {
  static final int WIDTH = 760;

  /** As many colours, dashes and markers there are; then they begin anew. */
  static final int NR_STYLES = 8;

  /** Text of a class: how wide a character is on average, on the safe side. */
  private static final double CHARACTER_WIDTH = 6.6;

  private static final int PADDING = 16;
  private static final int TITLE_BASELINE = 28;

  /** Colours that stay apart for the colour-blind; in pairs, light ground and dark. */
  private static final String[][] COLOURS = {
    {"#0b62b8", "#58a6ff"},
    {"#c4500a", "#ff9b52"},
    {"#007a58", "#3fce9f"},
    {"#a13d7e", "#f09bd0"},
    {"#7a6200", "#e3c341"},
    {"#5a4fcf", "#b3acff"},
    {"#b3261e", "#ff8a80"},
    {"#4d5761", "#b8c1cb"},
  };

  private static final String[] DASHES = {
    "none", "7 3", "2 3", "9 3 2 3", "none", "7 3", "2 3", "9 3 2 3"
  };

  private final StringBuilder body = new StringBuilder();
  private final String title;
  private final String description;

  SvgChart(String title, String description) {
    this.title = title;
    this.description = description;
    text(PADDING, TITLE_BASELINE, "title", title);
  }

  /** Text that begins at a place; classes are {@code title head text muted end middle}. */
  SvgChart text(double x, double y, String classes, String text) {
    body.append("<text class=\"").append(classes).append('"');
    attribute("x", x).attribute("y", y);
    body.append('>').append(escaped(text)).append("</text>\n");
    return this;
  }

  /** A text from the bottom to the top, in the middle of a height. */
  SvgChart uprightText(double x, double y, String text) {
    body.append("<text class=\"muted middle\" transform=\"translate(")
        .append(number(x))
        .append(' ')
        .append(number(y))
        .append(") rotate(-90)\">")
        .append(escaped(text))
        .append("</text>\n");
    return this;
  }

  SvgChart rectangle(double x, double y, double width, double height, String cls, String hint) {
    body.append("<rect class=\"").append(cls).append('"');
    attribute("x", x).attribute("y", y).attribute("width", width).attribute("height", height);
    body.append("><title>").append(escaped(hint)).append("</title></rect>\n");
    return this;
  }

  SvgChart line(double x1, double y1, double x2, double y2, String cls) {
    body.append("<line class=\"").append(cls).append('"');
    attribute("x1", x1).attribute("y1", y1).attribute("x2", x2).attribute("y2", y2);
    body.append("/>\n");
    return this;
  }

  /** A line through points, in one of the {@link #NR_STYLES}. */
  SvgChart curve(double[] x, double[] y, int style) {
    body.append("<polyline class=\"curve s").append(style % NR_STYLES).append("\" points=\"");
    for (int i = 0; i < x.length; i++) {
      body.append(i == 0 ? "" : " ").append(number(x[i])).append(',').append(number(y[i]));
    }
    body.append("\"/>\n");
    return this;
  }

  /** A point of a curve: its shape tells the style too. */
  SvgChart marker(double x, double y, int style, String hint) {
    String shape =
        switch (style % 4) {
          case 0 -> "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z";
          case 1 -> "M-4 -4h8v8h-8z";
          case 2 -> "M0 -5l5 9h-10z";
          default -> "M0 -5l5 5l-5 5l-5 -5z";
        };
    body.append("<path class=\"marker s").append(style % NR_STYLES);
    body.append("\" transform=\"translate(").append(number(x)).append(' ').append(number(y));
    body.append(")\" d=\"").append(shape).append("\"><title>").append(escaped(hint));
    body.append("</title></path>\n");
    return this;
  }

  /** How wide a text is, on the safe side. */
  static double width(String text) {
    return text.length() * CHARACTER_WIDTH;
  }

  /** A value with three digits that count. */
  static String value(double value) {
    double size = Math.abs(value);
    String format = size >= 99.95 ? "%.0f" : size >= 9.995 ? "%.1f" : "%.2f";
    return String.format(Locale.ROOT, format, value);
  }

  /** The file's text. */
  String finish(double height) {
    return "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\""
        + WIDTH
        + "\" height=\""
        + number(height)
        + "\" viewBox=\"0 0 "
        + WIDTH
        + " "
        + number(height)
        + "\" role=\"img\" aria-labelledby=\"title description\">\n<title id=\"title\">"
        + escaped(title)
        + "</title>\n<desc id=\"description\">"
        + escaped(description)
        + "</desc>\n<style>\n"
        + style()
        + "</style>\n<rect class=\"ground\" width=\"100%\" height=\"100%\"/>\n"
        + body
        + "</svg>\n";
  }

  private static String style() {
    StringBuilder light = new StringBuilder();
    StringBuilder dark = new StringBuilder();
    for (int i = 0; i < NR_STYLES; i++) {
      light.append(
          ".s%d{stroke:%s;fill:%s}\n.curve.s%d{stroke-dasharray:%s;fill:none}\n"
              .formatted(i, COLOURS[i][0], COLOURS[i][0], i, DASHES[i]));
      dark.append(".s%d{stroke:%s;fill:%s}\n".formatted(i, COLOURS[i][1], COLOURS[i][1]));
    }
    return """
    text{font:12px system-ui,"DejaVu Sans",Verdana,sans-serif;fill:#1f2328;stroke:none}
    .title{font-size:15px;font-weight:600}
    .head{font-weight:600}
    .muted{fill:#59636e}
    .end{text-anchor:end}
    .middle{text-anchor:middle}
    .ground{fill:#ffffff}
    .grid{stroke:#d8dee4}
    .axis,.spread{stroke:#59636e}
    .own{fill:#0b62b8}
    .other{fill:#9aa5b1}
    .marker{stroke-width:0}
    """
        + light
        + """
        .curve{stroke-width:2}
        text.label{stroke:none}
        @media (prefers-color-scheme:dark){
        text{fill:#e6edf3}
        .muted{fill:#9da7b3}
        .ground{fill:#0d1117}
        .grid{stroke:#2b323b}
        .axis,.spread{stroke:#9da7b3}
        .own{fill:#58a6ff}
        .other{fill:#5d6875}
        """
        + dark
        + "}\n";
  }

  private SvgChart attribute(String name, double value) {
    body.append(' ').append(name).append("=\"").append(number(value)).append('"');
    return this;
  }

  private static String number(double value) {
    String text = String.format(Locale.ROOT, "%.1f", value);
    return text.endsWith(".0") ? text.substring(0, text.length() - 2) : text;
  }

  private static String escaped(String text) {
    return text.replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
        .replace("\"", "&quot;");
  }
}
