import org.jspecify.annotations.NullMarked;

/** The group that pays follows the work through Micrometer's context propagation. */
@NullMarked
@SuppressWarnings({"requires-automatic", "requires-transitive-automatic"}) // it has no other
module io.memcg4j.context {
  requires static transitive org.jspecify;
  requires transitive io.memcg4j.objcg;
  requires transitive context.propagation;

  exports io.memcg4j.context;

  provides io.micrometer.context.ThreadLocalAccessor with
      io.memcg4j.context.TaskGroupsAccessor;
}
