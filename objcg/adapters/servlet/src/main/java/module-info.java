import org.jspecify.annotations.NullMarked;

/** A servlet filter that has each request paid for by a group. */
@NullMarked
module io.memcg4j.servlet {
  requires static transitive org.jspecify;
  requires transitive io.memcg4j.objcg;
  requires transitive jakarta.servlet;

  exports io.memcg4j.servlet;
}
