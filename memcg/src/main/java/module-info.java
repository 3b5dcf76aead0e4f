import org.jspecify.annotations.NullMarked;

/** The tree of memory control groups: limits, charges, page stocks. */
@NullMarked
module io.memcg4j.memcg {
  requires static transitive org.jspecify;
  requires transitive io.memcg4j.percpu;
  requires jdk.jfr;

  exports io.memcg4j.memcg;
}
