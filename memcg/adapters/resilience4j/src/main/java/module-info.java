import org.jspecify.annotations.NullMarked;

/** Admission by the memory pressure of a control group. */
@NullMarked
@SuppressWarnings({"requires-automatic", "requires-transitive-automatic"}) // they have no others
module io.memcg4j.resilience4j {
  requires static transitive org.jspecify;
  requires transitive io.memcg4j.memcg;
  requires transitive io.github.resilience4j.core;
  requires transitive io.github.resilience4j.circuitbreaker;
  requires transitive io.github.resilience4j.ratelimiter;
  requires transitive io.github.resilience4j.retry;

  exports io.memcg4j.resilience4j;
}
