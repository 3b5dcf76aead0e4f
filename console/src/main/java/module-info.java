import org.jspecify.annotations.NullMarked;

/** The console: groups, slabs and leaks of this JVM over HTTP on loopback, and as a web page. */
@NullMarked
@SuppressWarnings({"requires-automatic", "requires-transitive-automatic"}) // they have no others
module io.memcg4j.console {
  requires static transitive org.jspecify;
  requires transitive io.memcg4j.leak;
  requires io.memcg4j.micrometer;
  requires jdk.httpserver;
  requires micrometer.registry.prometheus;

  exports io.memcg4j.console;
}
