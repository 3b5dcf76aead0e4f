package io.memcg4j.soak;

import io.memcg4j.memcg.MemoryLimitException;
import io.memcg4j.slab.Kmalloc;
import java.lang.ref.WeakReference;
import java.net.URL;
import java.net.URLClassLoader;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.function.BiFunction;

/** Class loaders that use the library and are dropped have to be unloaded. */
final class Loaders {
  private static final int MOST_COLLECTIONS = 20;

  private final Subject subject;
  private final List<WeakReference<ClassLoader>> dropped = new ArrayList<>();
  private int serial;

  Loaders(Subject subject) {
    this.subject = subject;
  }

  /** Loads this one class itself. */
  private static final class Plugin extends URLClassLoader {
    Plugin(URL where) {
      super(new URL[] {where}, Loaders.class.getClassLoader());
    }

    @Override
    protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
      if (name.startsWith(LoadedTenant.class.getName())) {
        synchronized (getClassLoadingLock(name)) {
          Class<?> loaded = findLoadedClass(name);
          return loaded == null ? findClass(name) : loaded;
        }
      }
      return super.loadClass(name, resolve);
    }
  }

  @SuppressWarnings("unchecked")
  void useAndDrop() throws Exception {
    subject.tally.injected(Injection.CLASS_LOADER);
    String group = "plugin-" + ++serial;
    try (Plugin plugin =
        new Plugin(LoadedTenant.class.getProtectionDomain().getCodeSource().getLocation())) {
      Class<?> type = plugin.loadClass(LoadedTenant.class.getName());
      SoakChecks.require(type.getClassLoader() == plugin, "not loaded by its own loader: %s", type);
      BiFunction<Kmalloc, String, Long> tenant =
          (BiFunction<Kmalloc, String, Long>) type.getConstructor().newInstance();
      long block = inThread(() -> tenant.apply(subject.kmalloc, group));
      if (block != Kmalloc.NULL) {
        subject.kmalloc.free(block);
      }
      dropped.add(new WeakReference<>(plugin));
    }
  }

  /** On a thread that ends, as values of its thread locals would hold the loader. */
  private static long inThread(java.util.function.Supplier<Long> task) throws Exception {
    CompletableFuture<Long> result = new CompletableFuture<>();
    Thread.ofPlatform()
        .name("soak-plugin")
        .start(() -> {
          try {
            result.complete(task.get());
          } catch (Throwable e) {
            result.completeExceptionally(e);
          }
        })
        .join();
    try {
      return result.join();
    } catch (CompletionException e) {
      if (e.getCause() instanceof MemoryLimitException) {
        return Kmalloc.NULL; // injected, or the limit of all; its group stays, with nobody in it
      }
      throw e;
    }
  }

  /** Forgets those that are gone. */
  void look() {
    int before = dropped.size();
    dropped.removeIf(loader -> loader.get() == null);
    subject.tally.survived(Injection.CLASS_LOADER, before - dropped.size());
  }

  /** All of them have to go. */
  void end() {
    for (int i = 0; !dropped.isEmpty() && i < MOST_COLLECTIONS; i++) {
      System.gc();
      Tenant.sleep(100);
      look();
    }
    SoakChecks.require(
        dropped.isEmpty(), "class loaders are held: loaders=%d of %d", dropped.size(), serial);
  }
}
