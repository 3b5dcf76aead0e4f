package io.memcg4j.leak;

import java.util.List;

/**
 * A block that nobody refers to.
 *
 * @param address of its first byte
 * @param nrBytes its size
 * @param cgroup path of the group that pays for it; empty for a block outside the slabs
 * @param cache the cache it is of, or the name that it was registered with
 * @param checksum of its contents
 * @param nrScans scans in a row that found it unreferenced
 * @param frames where it was allocated, innermost first; empty if not known
 */
public record LeakSuspect(
    long address,
    long nrBytes,
    String cgroup,
    String cache,
    int checksum,
    int nrScans,
    List<StackTraceElement> frames) {}
