package io.memcg4j.memcg;

import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.ThreadFactory;
import java.util.function.Consumer;
import java.util.function.LongSupplier;

/** What is around the process. Not the real one in tests. */
record ContainerHost(
    Path root,
    Map<String, String> env,
    LongSupplier heapMax,
    LongSupplier nanoTime,
    Consumer<String> report,
    ThreadFactory threads) {
  static ContainerHost real() {
    System.Logger log = System.getLogger(ContainerMemory.class.getName());
    return new ContainerHost(
        Path.of("/"),
        System.getenv(),
        Runtime.getRuntime()::maxMemory,
        System::nanoTime,
        problem -> log.log(System.Logger.Level.WARNING, problem),
        ContainerPoller::daemon);
  }
}
