/** Flame graphs of leaked memory, by async-profiler's converter: {@link LeakFlameGraph}. */
package io.memcg4j.flamegraph;
