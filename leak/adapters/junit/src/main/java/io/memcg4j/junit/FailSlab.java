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
 * Fails allocations that a test with this annotation makes, or each test of a class with it, as
 * {@link io.memcg4j.slab.FaultSettings} says: those for which all of this agrees.
 *
 * <p>Only the test method's own thread is hit, unless {@link #allThreads} is set; not methods
 * before and after it, nor another test at the same time: each has an allocator of its own. With
 * {@link FailNth} on the same test that one counts for the test's thread.
 */
@Documented
@Inherited
@ExtendWith(MemcgExtension.class)
@Retention(RetentionPolicy.RUNTIME)
@Target({ElementType.TYPE, ElementType.METHOD, ElementType.ANNOTATION_TYPE})
public @interface FailSlab {
  /**
   * Where to fail.
   *
   * @return objects, unless said otherwise
   */
  FaultKind[] kinds() default FaultKind.SLAB;

  /**
   * Probability of a failure.
   *
   * @return percent, in {@code 0..100}
   */
  int probability() default 100;

  /**
   * Every so manieth allocation only.
   *
   * @return 1 or more
   */
  long interval() default 1;

  /**
   * Bound of the failures.
   *
   * @return 0 or more; -1 for none
   */
  long times() default -1;

  /**
   * What is granted before the first failure.
   *
   * @return bytes, 0 or more
   */
  long space() default 0;

  /**
   * Caches whose objects fail.
   *
   * @return names, or prefixes ending in {@code *}; empty for all
   */
  String[] caches() default {};

  /**
   * Seed of the probability.
   *
   * @return any number
   */
  long seed() default 0;

  /**
   * Whether threads other than the test method's are hit too.
   *
   * @return false unless said otherwise
   */
  boolean allThreads() default false;
}
