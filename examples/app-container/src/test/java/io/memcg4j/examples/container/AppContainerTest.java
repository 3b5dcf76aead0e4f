package io.memcg4j.examples.container;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.ContainerMemory;
import io.memcg4j.slab.Kmalloc;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The container with its three applications, over HTTP. */
@Timeout(180)
final class AppContainerTest {
  private static final long MIB = 1L << 20;
  private static final String APPS = "io.memcg4j.examples.apps.";

  private final HttpClient client = HttpClient.newHttpClient();
  private AppContainer container = start();

  private static AppContainer start() {
    try {
      return new AppContainer(Main.webapps(), ContainerMemory.detect(), 0);
    } catch (Exception e) {
      throw new AssertionError("does not start", e);
    }
  }

  @BeforeEach
  void deploy() throws Exception {
    container.deploy("notes", 16 * MIB);
    container.deploy("gallery", 4 * MIB);
    container.deploy("reports", 16 * MIB);
    container.open();
  }

  @AfterEach
  void everythingIsGivenBack() throws Exception {
    container.close();
    client.close();
    drain();
    assertEquals(0, container.apps().usage());
  }

  /** What threads hold in advance: an answer may arrive while its thread is still in its scope. */
  private void drain() throws InterruptedException {
    for (int i = 0; i < 3000 && container.root().slots().nrBusy() > 0; i++) {
      Thread.sleep(10);
    }
    assertEquals(0, container.root().slots().nrBusy());
    container.root().drain();
  }

  private HttpResponse<String> send(String method, String path, String body) throws Exception {
    URI uri = URI.create("http://127.0.0.1:" + container.port() + path);
    return client.send(
        HttpRequest.newBuilder(uri).method(method, BodyPublishers.ofString(body)).build(),
        HttpResponse.BodyHandlers.ofString());
  }

  private int status(String method, String path) throws Exception {
    return send(method, path, "").statusCode();
  }

  private Application application(String name) {
    Application found = container.find(name);
    if (found == null) {
      throw new AssertionError("not deployed: " + name);
    }
    return found;
  }

  private Holdings held(String path) {
    return Holdings.of(container.kmalloc(), path);
  }

  /**
   * What an application forgot, freed so that the container can close. A thread that has answered
   * may still be in the application's code for a while, which keeps alive what its classes refer
   * to.
   */
  private void freeLeaked(String path) throws InterruptedException {
    for (int scan = 0; scan < 1000 && !held(path).equals(Holdings.NONE); scan++) {
      Thread.sleep(10);
      container.leaks().scan().suspects().stream()
          .filter(suspect -> suspect.removedCgroup().equals(path))
          .forEach(suspect -> container.kmalloc().free(suspect.address()));
    }
  }

  @Test
  void once_allPromisesAreKept() throws Exception {
    container.close();
    container = start();
    container.deploy("notes", 16 * MIB);
    container.deploy("gallery", 8 * MIB);
    container.deploy("reports", 16 * MIB);
    container.open();
    ByteArrayOutputStream text = new ByteArrayOutputStream();
    Scenario scenario =
        new Scenario(container, new PrintStream(text, true, StandardCharsets.UTF_8));
    scenario.run(1);
    container.close();
    assertEquals(List.of(), scenario.finish(), () -> text.toString(StandardCharsets.UTF_8));
    String output = text.toString(StandardCharsets.UTF_8);
    assertTrue(output.contains("640 objects (2.5 MiB) that it did not free"), output);
    assertTrue(output.contains("inherited from \"/apps/reports\", that hold 600 more"), output);
    assertTrue(output.contains("ReportsServlet.write"), output);
    assertTrue(output.contains("/apps/gallery"), output);
    assertTrue(output.endsWith("all promises kept" + System.lineSeparator()), output);
  }

  @Test
  void applications_haveClassLoadersOfTheirOwnThatTheContainerDoesNotSee() throws Exception {
    Set<ClassLoader> loaders =
        container.deployed().stream().map(Application::classLoader).collect(Collectors.toSet());
    assertEquals(3, loaders.size());
    ClassLoader notes = application("notes").classLoader();
    Class<?> servlet = notes.loadClass(APPS + "notes.NotesServlet");
    assertSame(notes, servlet.getClassLoader());
    assertThrows(
        ClassNotFoundException.class, () -> notes.loadClass(APPS + "reports.ReportsServlet"));
    assertThrows(ClassNotFoundException.class, () -> Class.forName(servlet.getName()));
    assertSame(Kmalloc.class, notes.loadClass(Kmalloc.class.getName()));
  }

  @Test
  void notes_keepsTextsOffHeapInItsGroup() throws Exception {
    String text = "x".repeat(5000);
    assertEquals(204, send("PUT", "/notes/a", text).statusCode());
    assertEquals(text, send("GET", "/notes/a", "").body());
    drain();
    assertTrue(application("notes").group().usage() >= 5000);
    assertEquals(413, send("PUT", "/notes/b", "x".repeat(70_000)).statusCode());
    assertEquals(204, status("DELETE", "/notes/a"));
    assertEquals(404, status("GET", "/notes/a"));
  }

  @Test
  void gallery_overItsQuota_isRefusedAndOthersDoNotNotice() throws Exception {
    int nrImages = 0;
    HttpResponse<String> response = send("POST", "/gallery/?kib=512", "");
    for (; response.statusCode() == 201; nrImages++) {
      assertEquals(204, send("PUT", "/notes/" + nrImages, "text").statusCode());
      response = send("POST", "/gallery/?kib=512", "");
    }
    assertEquals(8, nrImages, "of 512 KiB in 4 MiB");
    assertEquals(507, response.statusCode());
    assertTrue(response.body().contains("\"limitedBy\":\"/apps/gallery\""), response::body);
    assertTrue(application("gallery").group().peak() <= 4 * MIB);
    assertEquals(204, send("PUT", "/notes/after", "text").statusCode());
    assertEquals(204, status("DELETE", "/gallery/"));
    assertEquals(201, status("POST", "/gallery/?kib=512"));
    assertEquals("1", send("GET", "/gallery/", "").body().strip());
  }

  @Test
  void undeploy_whileItHoldsMemory_parentPaysAndTheNextVersionDoesNot() throws Exception {
    for (int i = 0; i < 5; i++) {
      assertEquals(201, status("POST", "/reports/?pages=10"));
    }
    Application first = application("reports");
    drain();
    long usage = container.apps().usage();
    Holdings held = held("/apps/reports");
    assertEquals(50, held.nrObjects());
    container.undeploy(first);
    drain();
    assertEquals(usage, container.apps().usage());
    assertFalse(first.group().isOnline());
    assertEquals(held, held("/apps/reports"));
    assertEquals(404, status("POST", "/reports/?pages=1"));
    Application second = container.deploy("reports", MIB);
    assertNotSame(first.group(), second.group());
    drain();
    assertEquals(0, second.group().usage());
    assertEquals(201, status("POST", "/reports/?pages=1"));
    container.undeploy(second);
    freeLeaked("/apps/reports");
    assertEquals(Holdings.NONE, held("/apps/reports"));
  }

  @Test
  void admin_showsGroupsAndDeploys() throws Exception {
    AdminServlet.addTo(container);
    String page = send("GET", "/", "").body();
    assertTrue(page.contains("/apps/notes") && page.contains("16777216"), page);
    assertEquals(200, status("POST", "/?undeploy=notes"));
    assertNull(container.find("notes"));
    assertEquals(404, status("POST", "/?undeploy=notes"));
    assertEquals(404, status("GET", "/notes/x"));
    assertEquals(200, status("POST", "/?deploy=notes&mib=3"));
    assertEquals(3 * MIB, application("notes").group().max());
    assertEquals(400, status("POST", "/?deploy=notes"));
    assertEquals(400, status("POST", "/?deploy=..%2Fother"));
    assertTrue(send("POST", "/?scan", "").body().contains("SUMMARY: 0 leaks"));
  }
}
