package io.memcg4j.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.benchmarks.BarChart.Bar;
import io.memcg4j.benchmarks.BarChart.Group;
import io.memcg4j.benchmarks.LineChart.Axis;
import io.memcg4j.benchmarks.LineChart.Curve;
import io.memcg4j.benchmarks.LineChart.Point;
import java.io.StringReader;
import java.util.ArrayList;
import java.util.List;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.w3c.dom.Document;
import org.w3c.dom.Element;
import org.w3c.dom.NodeList;
import org.xml.sax.InputSource;

final class SvgChartTest {
  private static final BarChart BARS =
      new BarChart(
          "Pairs <of> \"all\" & more",
          "Bars",
          "ns",
          List.of(
              new Group(
                  "64 bytes",
                  List.of(
                      new Bar("memcg4j", 3.7, 3.6, 3.9, true),
                      new Bar("netty", 50, 50, 50, false)))));

  /** The root of a drawing; fails if it is no well-formed XML. */
  static Element parse(String svg) throws Exception {
    Document document =
        DocumentBuilderFactory.newInstance()
            .newDocumentBuilder()
            .parse(new InputSource(new StringReader(svg)));
    return document.getDocumentElement();
  }

  private static List<Element> all(Element root, String tag, String cls) {
    NodeList found = root.getElementsByTagName(tag);
    List<Element> elements = new ArrayList<>();
    for (int i = 0; i < found.getLength(); i++) {
      if (found.item(i) instanceof Element element
          && List.of(element.getAttribute("class").split(" ")).contains(cls)) {
        elements.add(element);
      }
    }
    return elements;
  }

  private static double number(Element element, String attribute) {
    return Double.parseDouble(element.getAttribute(attribute));
  }

  @Test
  void bars_areTitledDescribedAndInProportion() throws Exception {
    Element root = parse(BARS.svg());
    assertEquals("svg", root.getTagName());
    assertEquals("img", root.getAttribute("role"));
    assertEquals(
        "Pairs <of> \"all\" & more", root.getElementsByTagName("title").item(0).getTextContent());
    assertEquals("Bars", root.getElementsByTagName("desc").item(0).getTextContent());
    double own = number(all(root, "rect", "own").getFirst(), "width");
    double other = number(all(root, "rect", "other").getFirst(), "width");
    assertEquals(50 / 3.7, other / own, 0.1, "linear: lengths are in the ratio of the values");
    assertEquals(1, all(root, "line", "spread").size(), "one bar has a spread");
  }

  @Test
  void bars_farApart_areLogarithmicAndSaySo() throws Exception {
    String svg =
        new BarChart(
                "a",
                "b",
                "ns",
                List.of(
                    new Group(
                        "",
                        List.of(
                            new Bar("x", 3, 3, 3, true),
                            new Bar("y", 300, 300, 300, false),
                            new Bar("z", 30_000, 30_000, 30_000, false)))))
            .svg();
    assertTrue(svg.contains("logarithmic"), svg);
    assertFalse(BARS.svg().contains("logarithmic"));
    Element root = parse(svg);
    List<Element> others = all(root, "rect", "other");
    double own = number(all(root, "rect", "own").getFirst(), "width");
    double step = number(others.get(0), "width") - own;
    assertEquals(step, number(others.get(1), "width") - number(others.get(0), "width"), 0.2);
    assertTrue(own > 0 && number(others.get(1), "width") < SvgChart.WIDTH);
  }

  @Test
  void lines_manyCurves_haveEachALabelInsideAndApart() throws Exception {
    List<Curve> curves = new ArrayList<>();
    for (int i = 0; i < 12; i++) {
      curves.add(new Curve("c" + i, List.of(new Point(1, 10 + i), new Point(100_000, 20))));
    }
    Element root =
        parse(
            new LineChart("t", "d", new Axis("groups", true), new Axis("ns", true), curves).svg());
    List<Element> labels = all(root, "text", "label");
    assertEquals(12, labels.size());
    double before = 0;
    for (Element label : labels) {
      double y = number(label, "y");
      assertTrue(y - before >= 14.9 && y < number(root, "height"), () -> "y=" + y);
      before = y;
    }
    assertEquals(24, all(root, "path", "marker").size());
  }

  @Test
  void axis_ticks_encloseTheValues() {
    assertEquals(List.of(1.0, 10.0, 100.0, 1000.0), ticks(2, 900));
    assertEquals(List.of(2.0, 5.0, 10.0, 20.0), ticks(3, 12));
    assertEquals(List.of(0.1, 1.0, 10.0), ticks(0.1, 9));
    assertEquals(List.of(0.0, 10.0, 20.0, 30.0, 40.0, 50.0), ChartAxis.linear(45, 0, 100).ticks());
    ChartAxis axis = ChartAxis.logarithmic(1, 100, 10, 210);
    assertEquals(110, axis.at(10), 1e-9);
    assertEquals("100k", ChartAxis.name(100_000));
    assertEquals("0.5", ChartAxis.name(0.5));
    assertThrows(IllegalArgumentException.class, () -> ChartAxis.logarithmic(0, 1, 0, 1));
    assertThrows(IllegalArgumentException.class, () -> ChartAxis.linear(0, 0, 1));
  }

  private static List<Double> ticks(double lowest, double highest) {
    return ChartAxis.logarithmic(lowest, highest, 0, 100).ticks();
  }
}
