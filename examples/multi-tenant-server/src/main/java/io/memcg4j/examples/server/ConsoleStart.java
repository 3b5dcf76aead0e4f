package io.memcg4j.examples.server;

import io.memcg4j.console.Console;
import io.memcg4j.leak.Kmemleak;
import io.memcg4j.slab.Kmalloc;

/** The one place where the demo and the server open memcg4j's console. */
final class ConsoleStart {
  private ConsoleStart() {}

  /**
   * Opens it on a free port of loopback.
   *
   * @param name what the JVM is called there
   * @param kmalloc whose groups and memory it shows
   * @param kmemleak whose leaks
   * @return to be closed
   */
  static Console open(String name, Kmalloc kmalloc, Kmemleak kmemleak) {
    Console console = Console.builder(kmalloc).leaks(kmemleak).name(name).start();
    Runtime.getRuntime().addShutdownHook(new Thread(console::close, "console-close")); // Ctrl-C
    return console;
  }
}
