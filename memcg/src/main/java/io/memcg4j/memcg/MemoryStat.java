package io.memcg4j.memcg;

import java.util.Locale;

/**
 * What a group and everything below it uses memory for. Bytes.
 *
 * <p>Origin: {@code memory.stat} of cgroup v2; {@code heap} and {@code foreign} have no counterpart
 * there.
 *
 * @param slab charged by the allocator, in pages, with what slots hold in advance
 * @param percpu declared as such
 * @param vmalloc declared as such
 * @param heap declared memory on the Java heap
 * @param sock declared network buffers
 * @param foreign other declared memory
 * @param reclaimed what shrinkers of the group said they freed, since it was made
 */
public record MemoryStat(
    long slab, long percpu, long vmalloc, long heap, long sock, long foreign, long reclaimed) {
  /**
   * The text of {@code memory.stat}.
   *
   * @return one {@code key value} line each
   */
  public String format() {
    return String.format(
        Locale.ROOT,
        "slab %d%npercpu %d%nvmalloc %d%nheap %d%nsock %d%nforeign %d%nreclaimed %d%n",
        slab,
        percpu,
        vmalloc,
        heap,
        sock,
        foreign,
        reclaimed);
  }
}
