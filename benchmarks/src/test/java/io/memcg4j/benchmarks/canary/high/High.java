package io.memcg4j.benchmarks.canary.high;

/** The floor above {@code low}. */
public final class High {}
