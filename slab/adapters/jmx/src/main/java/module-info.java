import org.jspecify.annotations.NullMarked;

/** Memory control groups and their allocator as MXBeans. */
@NullMarked
module io.memcg4j.jmx {
  requires static transitive org.jspecify;
  requires transitive io.memcg4j.slab;
  requires transitive java.management;

  exports io.memcg4j.jmx;
}
