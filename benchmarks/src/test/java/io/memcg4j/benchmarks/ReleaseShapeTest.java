package io.memcg4j.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import javax.xml.parsers.DocumentBuilderFactory;
import javax.xml.xpath.XPath;
import javax.xml.xpath.XPathConstants;
import javax.xml.xpath.XPathExpressionException;
import javax.xml.xpath.XPathFactory;
import org.junit.jupiter.api.Test;
import org.w3c.dom.Document;
import org.w3c.dom.NodeList;

/** The BOM names every module that others may use, in the version that is built. */
final class ReleaseShapeTest {
  private static final Path ROOT = Path.of("..").toAbsolutePath().normalize();

  /** Modules for the project alone. */
  private static final Set<String> NOT_PUBLISHED =
      Set.of(
          "memcg4j-bom",
          "memcg4j-testkit",
          "memcg4j-benchmarks",
          "memcg4j-docs",
          "memcg4j-soak",
          "memcg4j-fuzz",
          "memcg4j-multi-tenant-server",
          "memcg4j-app-container");

  private final XPath xpath = XPathFactory.newInstance().newXPath();

  private static Document pom(String folder) throws Exception {
    Path file = ROOT.resolve(folder).resolve("pom.xml");
    assertTrue(Files.isRegularFile(file), file::toString);
    return DocumentBuilderFactory.newInstance().newDocumentBuilder().parse(file.toFile());
  }

  private String text(Document pom, String path) throws XPathExpressionException {
    return xpath.evaluate(path, pom).strip();
  }

  private List<String> texts(Document pom, String path) throws XPathExpressionException {
    NodeList nodes = (NodeList) xpath.evaluate(path, pom, XPathConstants.NODESET);
    return java.util.stream.IntStream.range(0, nodes.getLength())
        .mapToObj(i -> nodes.item(i).getTextContent().strip())
        .toList();
  }

  @Test
  void bom_hasTheVersionOfTheParent() throws Exception {
    assertEquals(text(pom(""), "/project/version"), text(pom("bom"), "/project/version"));
  }

  @Test
  void bom_namesEveryPublishedModule() throws Exception {
    Set<String> built = new TreeSet<>();
    for (String module : texts(pom(""), "/project/modules/module")) {
      built.add(text(pom(module), "/project/artifactId"));
    }
    assertTrue(built.containsAll(NOT_PUBLISHED), built::toString);
    built.removeAll(NOT_PUBLISHED);
    List<String> named =
        texts(pom("bom"), "/project/dependencyManagement/dependencies/dependency/artifactId");
    assertEquals(built, new TreeSet<>(named), "bom/pom.xml beside <modules> of pom.xml");
    assertEquals(built.size(), named.size(), "a module is named twice");
  }
}
