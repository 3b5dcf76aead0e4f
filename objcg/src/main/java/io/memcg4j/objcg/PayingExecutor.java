package io.memcg4j.objcg;

import java.util.List;
import java.util.concurrent.AbstractExecutorService;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.TimeUnit;

/** Each task is paid for by the groups of the thread that handed it in. */
final class PayingExecutor extends AbstractExecutorService {
  private final ExecutorService executor;

  PayingExecutor(ExecutorService executor) {
    this.executor = executor;
  }

  /** All forms of submit and invoke come here, on the thread that called them. */
  @Override
  public void execute(Runnable task) {
    executor.execute(ObjCgroup.wrap(task));
  }

  @Override
  public void shutdown() {
    executor.shutdown();
  }

  @Override
  public List<Runnable> shutdownNow() {
    return executor.shutdownNow();
  }

  @Override
  public boolean isShutdown() {
    return executor.isShutdown();
  }

  @Override
  public boolean isTerminated() {
    return executor.isTerminated();
  }

  @Override
  public boolean awaitTermination(long timeout, TimeUnit unit) throws InterruptedException {
    return executor.awaitTermination(timeout, unit);
  }

  @Override
  public String toString() {
    return "PayingExecutor[" + executor + "]";
  }
}
