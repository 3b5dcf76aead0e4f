package io.memcg4j.junit;

import java.lang.annotation.Documented;
import java.lang.annotation.ElementType;
import java.lang.annotation.Inherited;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * A test with this annotation, or each test of a class with it, runs in a memory control group of
 * its own with this limit. Allocations of the test's thread beyond it are refused with a {@link
 * io.memcg4j.memcg.MemoryLimitException}. The group is removed after the test; the test fails if
 * memory is charged to it then.
 *
 * <p>The limit is for what is allocated from the test's parameter, a {@link
 * io.memcg4j.slab.Kmalloc} or an {@link io.memcg4j.slab.AccountedArena}, and what is charged to a
 * {@link io.memcg4j.memcg.MemCgroup} parameter. Other threads enter the group by {@link
 * io.memcg4j.objcg.ObjCgroup#enter}, of a parameter of that type.
 */
@Documented
@Inherited
@ExtendWith(MemcgExtension.class)
@Retention(RetentionPolicy.RUNTIME)
@Target({ElementType.TYPE, ElementType.METHOD, ElementType.ANNOTATION_TYPE})
public @interface MemoryLimit {
  /**
   * The limit.
   *
   * @return what {@code memory.max} takes: bytes, optionally with {@code k}, {@code m}, {@code g}
   *     or {@code t} behind, which are powers of 1024, or {@code max}
   */
  String value();
}
