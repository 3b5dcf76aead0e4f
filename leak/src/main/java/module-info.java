import org.jspecify.annotations.NullMarked;

/** kmemleak: off-heap memory that nobody has a pointer to, in the running JVM, per tenant. */
@NullMarked
module io.memcg4j.leak {
  requires static transitive org.jspecify;
  requires transitive io.memcg4j.slab;
  requires jdk.jfr;

  // Only the JVM can list its heap's objects. At run time optional: without it the scan has no
  // roots in the Java heap, and says so.
  requires static java.management;

  exports io.memcg4j.leak;
}
