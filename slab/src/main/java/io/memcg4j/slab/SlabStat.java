package io.memcg4j.slab;

import java.util.List;
import java.util.Locale;

/**
 * What an allocator's slabs and large objects hold, by cache and as a whole, and what is kept ready
 * for whom. Areas and per-CPU memory have figures of their own ({@link Vmalloc#info}).
 *
 * <p>Made by one walk over all words of all slabs, some microseconds per MiB, that holds up nobody:
 * for people and monitors. Exact at rest. While others allocate and free, each object is counted
 * once, as what it was at some moment of the walk, so that within a cache the parts always sum up
 * to {@link Cache#objects}.
 *
 * @param caches all of them in the order in which they were made; those in debug mode, {@code
 *     NAME:debug}, at the end
 * @param tenants who has objects ready that are charged in advance, by path
 * @param inUseBytes allocated objects, in the sizes of their classes, and large ones
 * @param parkedBytes objects that slots keep ready, and slabs without objects that they keep
 * @param freeInSlabsBytes free objects of other slabs
 * @param retainedBytes of slabs and large objects that no slot has; will go back to the OS
 * @param mappedBytes memory that may be resident, in use or not
 * @param largeBytes part of {@code inUseBytes} in large objects
 * @param nrLarge large objects
 */
public record SlabStat(
    List<Cache> caches,
    List<Tenant> tenants,
    long inUseBytes,
    long parkedBytes,
    long freeInSlabsBytes,
    long retainedBytes,
    long mappedBytes,
    long largeBytes,
    long nrLarge) {
  /** The version of the kernel's columns. */
  private static final String HEADER =
      """
      slabinfo - version: 2.1
      # name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> \
      : tunables <limit> <batchcount> <sharedfactor> \
      : slabdata <active_slabs> <num_slabs> <sharedavail> : parked <objs>
      """;

  /** Copies the lists. */
  public SlabStat {
    caches = List.copyOf(caches);
    tenants = List.copyOf(tenants);
  }

  /**
   * One cache. {@code objects = activeObjects + nrDeferred + parkedObjects + freeInSlabs}, always.
   * The counts are of this allocator's life, made on slow paths by the owners of slots, and may lag
   * behind by what those are doing.
   *
   * @param name the oldest of its names that is left
   * @param activeObjects allocated ones; in debug mode with those in quarantine
   * @param objects that its slabs can hold; slabs that no slot has are not counted
   * @param objectSize bytes from one object to the next
   * @param objectsPerSlab objects that a slab can hold
   * @param pagesPerSlab pages of a slab
   * @param activeSlabs slabs with an object that is allocated or deferred
   * @param slabs slabs that some slot has
   * @param parkedObjects objects ready in the words that slots allocate from, charged or not, and
   *     those of the slabs without objects that slots keep
   * @param parkedBytes {@code parkedObjects} times {@code objectSize}
   * @param freeInSlabs free objects of other words, with those that were freed elsewhere and wait
   *     to be collected
   * @param nrDeferred objects that wait for their readers before they are free
   * @param mappedBytes memory of the slabs that may be resident
   * @param counts of slow paths
   */
  public record Cache(
      String name,
      long activeObjects,
      long objects,
      int objectSize,
      int objectsPerSlab,
      int pagesPerSlab,
      long activeSlabs,
      long slabs,
      long parkedObjects,
      long parkedBytes,
      long freeInSlabs,
      long nrDeferred,
      long mappedBytes,
      Counts counts) {
    /**
     * The line of {@code /proc/slabinfo}, and the parked objects.
     *
     * @return a line without its end
     */
    public String format() {
      return String.format(
          Locale.ROOT,
          "%-17s %6d %6d %6d %4d %4d : tunables %4d %4d %4d : slabdata %6d %6d %6d : parked %6d",
          name,
          activeObjects,
          objects,
          objectSize,
          objectsPerSlab,
          pagesPerSlab,
          0,
          0,
          0,
          activeSlabs,
          slabs,
          0,
          parkedObjects);
    }
  }

  /**
   * How often slots had to do more for a cache than take the next object or put one back.
   *
   * @param nrRefills words that were made ready
   * @param nrSlabsTaken slabs that slots got, new ones or such as were given back before
   * @param nrSlabsRetired slabs that slots gave back
   * @param nrCollected objects freed elsewhere that were taken back
   */
  public record Counts(long nrRefills, long nrSlabsTaken, long nrSlabsRetired, long nrCollected) {}

  /**
   * What is charged in advance to a group for objects that are ready.
   *
   * @param group its path
   * @param readyObjects objects in the words that slots allocate from
   * @param readyBytes what they were charged
   * @param boundBytes what {@code readyBytes}, and the bytes and pages that slots hold for the
   *     group besides, stay below: see {@link io.memcg4j.memcg.MemCgroup#stockBoundBytes}
   */
  public record Tenant(String group, long readyObjects, long readyBytes, long boundBytes) {}

  /**
   * Counts now.
   *
   * @param kmalloc an allocator
   * @return figures of this moment
   */
  public static SlabStat of(Kmalloc kmalloc) {
    return new SlabCensus(kmalloc.allocator()).take();
  }

  /**
   * Part of the mapped memory that is in no use.
   *
   * @return 0 to 1; 0 if nothing is mapped
   */
  public double fragmentation() {
    return mappedBytes <= inUseBytes ? 0 : (double) (mappedBytes - inUseBytes) / mappedBytes;
  }

  /**
   * The text of {@code /proc/slabinfo}, version 2.1, with {@code : parked N} behind each line.
   *
   * @return two lines of header, and a line per cache
   */
  public String slabinfo() {
    StringBuilder text = new StringBuilder(HEADER);
    caches.forEach(cache -> text.append(cache.format()).append('\n'));
    return text.toString();
  }

  /**
   * Figures of the whole, and of tenants.
   *
   * @return lines
   */
  public String summary() {
    StringBuilder text = new StringBuilder();
    text.append(
        String.format(
            Locale.ROOT,
            "in_use %d%nparked %d%nfree_in_slabs %d%nretained %d%nmapped %d%nlarge %d%n"
                + "fragmentation %.2f%n",
            inUseBytes,
            parkedBytes,
            freeInSlabsBytes,
            retainedBytes,
            mappedBytes,
            largeBytes,
            fragmentation()));
    for (Tenant tenant : tenants) {
      text.append(
          String.format(
              Locale.ROOT,
              "tenant %s ready_objects %d ready %d bound %d%n",
              tenant.group,
              tenant.readyObjects,
              tenant.readyBytes,
              tenant.boundBytes));
    }
    return text.toString();
  }
}
