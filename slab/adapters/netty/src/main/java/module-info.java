import org.jspecify.annotations.NullMarked;

/** Netty buffers that a memory control group pays for. */
@NullMarked
module io.memcg4j.netty {
  requires static transitive org.jspecify;
  requires transitive io.memcg4j.slab;
  requires transitive io.netty.buffer;
  requires transitive io.netty.transport;
  requires io.netty.common;

  exports io.memcg4j.netty;
}
