package io.memcg4j.junit;

import java.lang.annotation.Documented;
import java.lang.annotation.ElementType;
import java.lang.annotation.Inherited;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * A test with this annotation, or each test of a class with it, fails if it leaks off-heap memory:
 * with the report of {@link io.memcg4j.leak.Kmemleak}, which names group, cache and call site of
 * each block.
 *
 * <p>What is looked at is the allocator that the test has as a parameter, a {@link
 * io.memcg4j.slab.Kmalloc} or an {@link io.memcg4j.slab.AccountedArena}. It is the test's own, so
 * tests may run at the same time. The scan comes after {@code @AfterEach} methods; threads that the
 * test started should have ended by then. A test that fails for another reason is not scanned. For
 * an allocator that tests share, see {@link LeakCheck}.
 */
@Documented
@Inherited
@ExtendWith(MemcgExtension.class)
@Retention(RetentionPolicy.RUNTIME)
@Target({ElementType.TYPE, ElementType.METHOD, ElementType.ANNOTATION_TYPE})
public @interface NoLeaks {
  /**
   * Whether a block counts as held when a Java object refers to it, such as a field of the test's
   * class, by address or by segment.
   *
   * @return false, the default: whatever is allocated when the test ends is a leak, found in
   *     milliseconds. True: the Java heap is read, which takes up to three heap dumps per test and
   *     stops all threads for each
   */
  boolean javaHeap() default false;
}
