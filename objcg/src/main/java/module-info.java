import org.jspecify.annotations.NullMarked;

/** Who pays: object cgroups, scopes and byte stocks. */
@NullMarked
module io.memcg4j.objcg {
  requires static transitive org.jspecify;
  requires transitive io.memcg4j.memcg;
  requires jdk.jfr;

  exports io.memcg4j.objcg;
}
