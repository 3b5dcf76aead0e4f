import org.jspecify.annotations.NullMarked;

/** A Caffeine cache whose entries a memory control group pays for. */
@NullMarked
module io.memcg4j.caffeine {
  requires static transitive org.jspecify;
  requires transitive io.memcg4j.memcg;
  requires transitive com.github.benmanes.caffeine;

  exports io.memcg4j.caffeine;
}
