/**
 * The command line of the benchmarks: {@code replay} runs real programs' allocation traces through
 * the allocator, {@code bench} runs the micro-benchmarks. This is a class path application, not a
 * floor of the library; nothing depends on it.
 */
@NullMarked
package io.memcg4j.benchmarks;

import org.jspecify.annotations.NullMarked;
