package io.memcg4j.netty;

import io.netty.util.ResourceLeakDetector;
import io.netty.util.ResourceLeakDetectorFactory;
import java.util.concurrent.atomic.AtomicInteger;

/** Counts what Netty's leak detector reports. Installed before Netty makes its first buffer. */
final class LeakReports {
  static final AtomicInteger COUNT = new AtomicInteger();

  private LeakReports() {}

  @SuppressWarnings("deprecation") // an abstract method of Netty's is
  static void install() {
    ResourceLeakDetector.setLevel(ResourceLeakDetector.Level.PARANOID);
    ResourceLeakDetectorFactory.setResourceLeakDetectorFactory(
        new ResourceLeakDetectorFactory() {
          @Override
          public <T> ResourceLeakDetector<T> newResourceLeakDetector(
              Class<T> resource, int samplingInterval, long maxActive) {
            return newResourceLeakDetector(resource, samplingInterval);
          }

          @Override
          public <T> ResourceLeakDetector<T> newResourceLeakDetector(
              Class<T> resource, int samplingInterval) {
            return new Counting<>(resource, samplingInterval);
          }
        });
  }

  private static final class Counting<T> extends ResourceLeakDetector<T> {
    Counting(Class<T> resource, int samplingInterval) {
      super(resource, samplingInterval);
    }

    @Override
    protected boolean needReport() {
      return true;
    }

    @Override
    protected void reportTracedLeak(String resourceType, String records) {
      COUNT.incrementAndGet();
    }

    @Override
    protected void reportUntracedLeak(String resourceType) {
      COUNT.incrementAndGet();
    }
  }
}
