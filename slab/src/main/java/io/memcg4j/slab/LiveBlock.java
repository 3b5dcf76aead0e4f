package io.memcg4j.slab;

import io.memcg4j.objcg.ObjCgroup;
import org.jspecify.annotations.Nullable;

/**
 * A block that was allocated at one moment, and what is known of its allocation: for the floor
 * above.
 *
 * @param address of its first byte; of per-CPU memory the handle, which is the first copy's address
 * @param nrBytes its size, of per-CPU memory that of one copy
 * @param nrCopies 1, or the copies of per-CPU memory
 * @param copyStride bytes from a copy to the next one
 * @param cache its cache, or what kind of memory it is
 * @param owner who pays; null if not known
 * @param site call site in the allocator's depot; 0 if not known
 * @param caller the call site as {@code class.method:line} where there is no handle of it; else
 *     empty
 * @param timeNanos {@link System#nanoTime} of the allocation; 0 if not known
 * @param thread name and id of the allocating thread, with a comma between; empty if not known
 * @param identity an object that another block at the same address does not have; null if there is
 *     none
 */
public record LiveBlock(
    long address,
    long nrBytes,
    int nrCopies,
    long copyStride,
    String cache,
    @Nullable ObjCgroup owner,
    int site,
    String caller,
    long timeNanos,
    String thread,
    @Nullable Object identity) {}
