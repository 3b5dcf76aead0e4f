package io.memcg4j.soak;

/** Where a block comes from. */
enum BlockKind {
  OBJECT,
  AREA,
  PERCPU,
  TYPED,
  ARENA
}
