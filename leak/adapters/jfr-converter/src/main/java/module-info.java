import org.jspecify.annotations.NullMarked;

/** Flame graphs of leaked memory. */
@NullMarked
@SuppressWarnings("requires-automatic") // it has no other
module io.memcg4j.flamegraph {
  requires static transitive org.jspecify;
  requires transitive io.memcg4j.leak;
  requires jfr.converter;

  exports io.memcg4j.flamegraph;
}
