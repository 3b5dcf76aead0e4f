package io.memcg4j.junit;

import io.memcg4j.objcg.Scope;
import java.lang.annotation.Annotation;
import java.lang.reflect.Method;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.extension.AfterEachCallback;
import org.junit.jupiter.api.extension.BeforeEachCallback;
import org.junit.jupiter.api.extension.DynamicTestInvocationContext;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.InvocationInterceptor;
import org.junit.jupiter.api.extension.ParameterContext;
import org.junit.jupiter.api.extension.ParameterResolver;
import org.junit.jupiter.api.extension.ReflectiveInvocationContext;
import org.junit.platform.commons.support.AnnotationSupport;

/**
 * Gives each test memory of its own: a {@link io.memcg4j.memcg.MemCgroup}, its {@link
 * io.memcg4j.objcg.ObjCgroup}, the {@link Scope} that the test's thread has entered, a {@link
 * io.memcg4j.slab.Kmalloc} and an {@link io.memcg4j.slab.AccountedArena}, as parameters of the test
 * and of its {@code @BeforeEach} and {@code @AfterEach} methods. All of them get the same ones, but
 * for the arena: each parameter is a new shared one, closed after the test.
 *
 * <p>{@link NoLeaks} and {@link MemoryLimit} register it, and say what a test must not do; {@link
 * FailNth} and {@link FailSlab} do too, and make its allocations fail. It can also be registered
 * with {@code @ExtendWith}, or for all tests by JUnit's automatic detection. Not for parameters of
 * constructors and of {@code @BeforeAll}.
 *
 * <p>The dynamic tests of a {@code @TestFactory} share what its method has, which is looked at
 * after the last of them; failures are made to happen in each of them anew.
 *
 * <p>Code that {@code @Timeout} runs on a thread of its own is in the test's group too, but cannot
 * use a {@code Scope} parameter, which is of the test's first thread.
 */
public final class MemcgExtension
    implements BeforeEachCallback, AfterEachCallback, ParameterResolver, InvocationInterceptor {
  private static final ExtensionContext.Namespace NAMESPACE =
      ExtensionContext.Namespace.create(MemcgExtension.class);
  private static final String MEMORY = "memory";

  /** For JUnit. */
  public MemcgExtension() {}

  @Override
  public void beforeEach(ExtensionContext context) {
    if (find(context, NoLeaks.class) != null
        || find(context, MemoryLimit.class) != null
        || hasFaults(context)) {
      memoryOf(context);
    }
  }

  @Override
  public void afterEach(ExtensionContext context) {
    TestMemory memory = store(context).remove(MEMORY, TestMemory.class);
    if (memory != null) {
      memory.end(context.getExecutionException().isEmpty());
    }
  }

  @Override
  public boolean supportsParameter(ParameterContext parameter, ExtensionContext context) {
    return parameter.getDeclaringExecutable() instanceof Method
        && context.getTestMethod().isPresent()
        && TestMemory.has(parameter.getParameter().getType());
  }

  @Override
  public Object resolveParameter(ParameterContext parameter, ExtensionContext context) {
    return memoryOf(context).get(parameter.getParameter().getType());
  }

  @Override
  @SuppressWarnings("NullAway") // JUnit 6 says that the Void is nullable, JUnit 5 says nothing
  public void interceptBeforeEachMethod(
      Invocation<@Nullable Void> invocation,
      ReflectiveInvocationContext<Method> method,
      ExtensionContext context)
      throws Throwable {
    proceedInGroup(invocation, context);
  }

  @Override
  @SuppressWarnings("NullAway") // JUnit 6 says that the Void is nullable, JUnit 5 says nothing
  public void interceptTestMethod(
      Invocation<@Nullable Void> invocation,
      ReflectiveInvocationContext<Method> method,
      ExtensionContext context)
      throws Throwable {
    proceedWithFaults(invocation, context);
  }

  @Override
  @SuppressWarnings("NullAway") // JUnit 6 says that the Void is nullable, JUnit 5 says nothing
  public void interceptTestTemplateMethod(
      Invocation<@Nullable Void> invocation,
      ReflectiveInvocationContext<Method> method,
      ExtensionContext context)
      throws Throwable {
    proceedWithFaults(invocation, context);
  }

  @Override
  public <T extends @Nullable Object> T interceptTestFactoryMethod(
      Invocation<T> invocation,
      ReflectiveInvocationContext<Method> method,
      ExtensionContext context)
      throws Throwable {
    TestMemory memory = store(context).get(MEMORY, TestMemory.class);
    try (Scope _ = memory == null ? null : memory.enterElsewhere()) {
      return invocation.proceed();
    }
  }

  @Override
  @SuppressWarnings("NullAway") // JUnit 6 says that the Void is nullable, JUnit 5 says nothing
  public void interceptDynamicTest(
      Invocation<@Nullable Void> invocation,
      DynamicTestInvocationContext test,
      ExtensionContext context)
      throws Throwable {
    if (!hasFaults(context)) {
      proceedInGroup(invocation, context);
      return;
    }
    // Those of one factory have one allocator, and may run at the same time.
    synchronized (memoryOf(context)) {
      proceedWithFaults(invocation, context);
    }
  }

  @Override
  @SuppressWarnings("NullAway") // JUnit 6 says that the Void is nullable, JUnit 5 says nothing
  public void interceptAfterEachMethod(
      Invocation<@Nullable Void> invocation,
      ReflectiveInvocationContext<Method> method,
      ExtensionContext context)
      throws Throwable {
    proceedInGroup(invocation, context);
  }

  private static void proceedInGroup(
      Invocation<@Nullable Void> invocation, ExtensionContext context) throws Throwable {
    TestMemory memory = store(context).get(MEMORY, TestMemory.class);
    try (Scope _ = memory == null ? null : memory.enterElsewhere()) {
      invocation.proceed();
    }
  }

  private static void proceedWithFaults(
      Invocation<@Nullable Void> invocation, ExtensionContext context) throws Throwable {
    if (!hasFaults(context)) {
      proceedInGroup(invocation, context);
      return;
    }
    FailNth nth = find(context, FailNth.class);
    try (TestFaults faults =
        new TestFaults(memoryOf(context).kmalloc(), nth, find(context, FailSlab.class))) {
      proceedInGroup(invocation, context);
      faults.assertFired();
    }
  }

  private static boolean hasFaults(ExtensionContext context) {
    return find(context, FailNth.class) != null || find(context, FailSlab.class) != null;
  }

  /** The test's memory, made when it is first asked for. */
  private static TestMemory memoryOf(ExtensionContext context) {
    TestMemory memory = store(context).get(MEMORY, TestMemory.class);
    if (memory == null) {
      String name = context.getRequiredTestMethod().getName();
      memory =
          new TestMemory(
              name.replaceAll("[^A-Za-z0-9_-]", "_"),
              find(context, MemoryLimit.class),
              find(context, NoLeaks.class));
      store(context).put(MEMORY, memory);
    }
    return memory;
  }

  private static ExtensionContext.Store store(ExtensionContext context) {
    return context.getStore(NAMESPACE);
  }

  /** The annotation of the test's method, else of its class, else of the class around it. */
  private static <A extends Annotation> @Nullable A find(ExtensionContext context, Class<A> type) {
    Optional<ExtensionContext> at = Optional.of(context);
    while (at.isPresent()) {
      Optional<A> found = AnnotationSupport.findAnnotation(at.get().getElement(), type);
      if (found.isPresent()) {
        return found.get();
      }
      at = at.get().getParent();
    }
    return null;
  }
}
