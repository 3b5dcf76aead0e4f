/** Tests of the benchmarks' command line, on the real allocator. */
@NullMarked
package io.memcg4j.benchmarks;

import org.jspecify.annotations.NullMarked;
