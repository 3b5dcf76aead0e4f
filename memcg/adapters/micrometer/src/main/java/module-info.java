import org.jspecify.annotations.NullMarked;

/** Meters of memory control groups. */
@NullMarked
@SuppressWarnings({"requires-automatic", "requires-transitive-automatic"}) // they have no others
module io.memcg4j.micrometer {
  requires static transitive org.jspecify;
  requires transitive io.memcg4j.memcg;
  requires transitive micrometer.commons;
  requires transitive micrometer.core;

  exports io.memcg4j.micrometer;
}
