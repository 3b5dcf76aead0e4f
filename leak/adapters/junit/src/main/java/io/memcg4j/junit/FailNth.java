package io.memcg4j.junit;

import io.memcg4j.slab.FaultKind;
import java.lang.annotation.Documented;
import java.lang.annotation.ElementType;
import java.lang.annotation.Inherited;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * Fails one allocation that a test with this annotation makes, or each test of a class with it: the
 * n-th of the test method's own thread, of its {@link io.memcg4j.slab.Kmalloc} parameter and what
 * is made from that. The test fails if it makes fewer, since it then shows nothing.
 *
 * <p>Of a {@code @TestFactory} the dynamic tests are hit, each by itself, not the method that makes
 * them. Else only the test method itself is hit, not methods before and after it, nor another test
 * at the same time: each has an allocator of its own. What happens is in {@link
 * io.memcg4j.slab.FaultInjection}.
 */
@Documented
@Inherited
@ExtendWith(MemcgExtension.class)
@Retention(RetentionPolicy.RUNTIME)
@Target({ElementType.TYPE, ElementType.METHOD, ElementType.ANNOTATION_TYPE})
public @interface FailNth {
  /**
   * Which allocation.
   *
   * @return 1 for the first one
   */
  long value();

  /**
   * Which points count.
   *
   * @return objects, areas and per-CPU memory, unless said otherwise
   */
  FaultKind[] kinds() default {FaultKind.SLAB, FaultKind.VMALLOC, FaultKind.PERCPU};
}
