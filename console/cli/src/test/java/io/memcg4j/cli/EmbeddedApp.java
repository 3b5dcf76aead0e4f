package io.memcg4j.cli;

import io.memcg4j.console.Console;
import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.slab.Kmalloc;
import java.io.IOException;

/** An application with a console and one group, until its standard input ends. */
final class EmbeddedApp {
  private EmbeddedApp() {}

  /**
   * Runs it.
   *
   * @param args the name of the console and of the group
   * @throws IOException if the input cannot be read
   */
  public static void main(String[] args) throws IOException {
    MemCgroup root = MemCgroup.root();
    root.create(args[0]).setMax(1 << 20);
    try (Kmalloc kmalloc = Kmalloc.create(root);
        Console _ = Console.builder(kmalloc).name(args[0]).start()) {
      System.out.println("ready");
      while (System.in.read() >= 0) {
        // until the end
      }
    }
  }
}
