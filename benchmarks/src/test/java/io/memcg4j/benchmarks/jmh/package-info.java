/**
 * One question each, for JMH: {@code mvn -pl benchmarks -am test-compile exec:exec@jmh
 * -Djmh=PairJmh}. Nanoseconds per operation, but where it says otherwise.
 */
@NullMarked
package io.memcg4j.benchmarks.jmh;

import org.jspecify.annotations.NullMarked;
