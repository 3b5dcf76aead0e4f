package io.memcg4j.examples.server;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardWatchEventKinds;
import java.nio.file.WatchKey;
import java.nio.file.WatchService;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Keeps the tenants as their file says. What is wrong in the file is reported once, and changes
 * nothing.
 *
 * <p>A file that is being written reads as a shorter one, in which tenants seem to be removed: so a
 * change counts when the file has read the same twice, 100 ms apart.
 */
final class TenantsFileWatch implements AutoCloseable {
  /** Changes that nobody tells of, as in a folder behind a link or on a network, are seen after. */
  private static final long POLL_MILLIS = 500;

  private static final long SETTLE_MILLIS = 100;

  private final Path file;
  private final Tenants tenants;
  private final Consumer<String> report;
  private final WatchService watcher;
  private final Thread thread;
  private String applied;
  private String rejected = "";
  private volatile @Nullable String error;

  private TenantsFileWatch(Path file, Tenants tenants, Consumer<String> report, String text)
      throws IOException {
    this.file = file;
    this.tenants = tenants;
    this.report = report;
    this.applied = text;
    this.watcher = FileSystems.getDefault().newWatchService();
    Path folder = file.toAbsolutePath().getParent();
    if (folder != null) { // of the folder: editors replace the file
      folder.register(
          watcher,
          StandardWatchEventKinds.ENTRY_CREATE,
          StandardWatchEventKinds.ENTRY_MODIFY,
          StandardWatchEventKinds.ENTRY_DELETE);
    }
    this.thread = Thread.ofPlatform().daemon().name("tenants-file").unstarted(this::watch);
  }

  /**
   * Makes the tenants that the file says, and watches it from then on.
   *
   * @param report is told what was done and what is wrong, by the thread that watches
   * @throws TenantsFile.SyntaxException if the file is wrong: nothing was done
   * @throws IOException if it cannot be read
   */
  static TenantsFileWatch start(Path file, Tenants tenants, Consumer<String> report)
      throws IOException, TenantsFile.SyntaxException {
    String text = Files.readString(file);
    tenants.apply(TenantsFile.parse(text));
    TenantsFileWatch watch = new TenantsFileWatch(file, tenants, report, text);
    watch.thread.start();
    return watch;
  }

  /** What is wrong with the file as it is now; null if nothing is. */
  @Nullable String error() {
    return error;
  }

  private void watch() {
    try {
      while (true) {
        WatchKey key = watcher.poll(POLL_MILLIS, TimeUnit.MILLISECONDS);
        if (key != null) {
          key.pollEvents();
          key.reset();
        }
        look();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt(); // by close
    }
  }

  private void look() throws InterruptedException {
    try {
      String text = Files.readString(file);
      if (text.equals(applied)) {
        error = null;
        rejected = "";
        return;
      }
      Thread.sleep(SETTLE_MILLIS);
      if (!text.equals(rejected) && text.equals(Files.readString(file))) {
        apply(text);
      }
    } catch (CharacterCodingException e) {
      reject("not UTF-8", "not UTF-8");
    } catch (IOException e) {
      reject("not readable: " + e, "not readable");
    }
  }

  private void apply(String text) {
    try {
      List<String> done = tenants.apply(TenantsFile.parse(text));
      applied = text;
      error = null;
      rejected = "";
      report.accept(
          file.getFileName() + ": " + (done.isEmpty() ? "no change" : String.join(", ", done)));
    } catch (TenantsFile.SyntaxException e) {
      reject(String.valueOf(e.getMessage()), text);
    } catch (RuntimeException e) { // a limit that has no room for a new tenant
      reject(String.valueOf(e.getMessage()), text);
    }
  }

  private void reject(String reason, String what) {
    error = reason;
    if (!what.equals(rejected)) {
      rejected = what;
      report.accept(file.getFileName() + ": " + reason + "; the tenants stay as they are");
    }
  }

  /** Ends it; the tenants stay. */
  @Override
  public void close() {
    thread.interrupt();
    try {
      thread.join();
      watcher.close();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
