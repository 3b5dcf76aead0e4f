package io.memcg4j.junit;

import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClass;

import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentSkipListMap;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.engine.support.descriptor.MethodSource;
import org.junit.platform.launcher.LauncherDiscoveryRequest;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;

/** Runs a class of samples as a test run of its own. */
final class SampleRun implements TestExecutionListener {
  private final Map<String, String> messages = new ConcurrentSkipListMap<>();

  private SampleRun() {}

  /**
   * Runs it.
   *
   * @param settings of JUnit
   * @return by test method, or name of a dynamic test, what it failed with, empty if it passed;
   *     with {@code #2} and so on behind the name for more invocations. A method that made dynamic
   *     tests, or a class, only if it failed
   */
  static Map<String, String> of(Class<?> samples, Map<String, String> settings) {
    SampleRun run = new SampleRun();
    LauncherDiscoveryRequest request =
        LauncherDiscoveryRequestBuilder.request()
            .selectors(selectClass(samples))
            .configurationParameters(settings)
            .build();
    LauncherFactory.create().execute(request, run);
    return new TreeMap<>(run.messages);
  }

  @Override
  public void executionFinished(TestIdentifier test, TestExecutionResult result) {
    if (test.isTest() || result.getThrowable().isPresent()) {
      boolean isDynamic =
          test.getUniqueIdObject().getLastSegment().getType().equals("dynamic-test");
      String name =
          test.getSource()
              .filter(source -> !isDynamic && source instanceof MethodSource)
              .map(source -> ((MethodSource) source).getMethodName())
              .orElse(test.getDisplayName());
      String message = result.getThrowable().map(Throwable::toString).orElse("");
      for (int i = 2; messages.putIfAbsent(name, message) != null; i++) {
        name = name.replaceFirst("(#.*)?$", "#" + i);
      }
    }
  }
}
