import org.jspecify.annotations.NullMarked;

/** Meters of leak scans. */
@NullMarked
@SuppressWarnings({"requires-automatic", "requires-transitive-automatic"}) // they have no others
module io.memcg4j.leakmeters {
  requires static transitive org.jspecify;
  requires transitive io.memcg4j.leak;
  requires transitive micrometer.commons;
  requires transitive micrometer.core;

  exports io.memcg4j.leakmeters;
}
