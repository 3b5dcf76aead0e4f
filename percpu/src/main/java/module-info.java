import org.jspecify.annotations.NullMarked;

/** Per-CPU slots, counters, references and memory: what a thread may touch without atomics. */
@NullMarked
module io.memcg4j.percpu {
  requires static transitive org.jspecify;

  exports io.memcg4j.percpu;
}
