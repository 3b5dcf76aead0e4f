package io.memcg4j.benchmarks.canary.low;

import io.memcg4j.benchmarks.canary.high.High;

/** A floor that breaks the rule: it uses the one above it. */
public final class Low {
  final High high = new High();
}
