import org.jspecify.annotations.NullMarked;

/** The slab allocator: accounted off-heap memory by address. */
@NullMarked
module io.memcg4j.slab {
  requires static transitive org.jspecify;
  requires transitive io.memcg4j.objcg;

  exports io.memcg4j.slab;
}
