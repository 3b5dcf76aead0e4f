import org.jspecify.annotations.NullMarked;

/** Tests that fail when they leak off-heap memory, or take more than they may. */
@NullMarked
module io.memcg4j.junit {
  requires static transitive org.jspecify;
  requires transitive io.memcg4j.leak;
  requires transitive org.junit.jupiter.api;

  exports io.memcg4j.junit;

  // JUnit makes an instance of the extension by reflection.
  opens io.memcg4j.junit to
      org.junit.platform.commons;

  provides org.junit.jupiter.api.extension.Extension with
      io.memcg4j.junit.MemcgExtension;
}
