package io.memcg4j.slab;

/** Where {@link FaultInjection} can make memory run out. */
public enum FaultKind {
  /** Objects of the size classes, of caches, and large ones, whoever pays. */
  SLAB,

  /** Charges to a group other than the root: for slabs, large objects, areas, per-CPU memory. */
  CHARGE,

  /** Fresh memory of the OS, for slabs, large objects, areas and per-CPU memory. */
  PAGES,

  /** Areas of {@link Vmalloc}: new ones, and those that grow. */
  VMALLOC,

  /** Objects of {@link Kmalloc#percpu}. */
  PERCPU
}
