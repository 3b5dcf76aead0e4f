package io.memcg4j.slab;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryLimitException;
import io.memcg4j.memcg.RoomWait;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.ObjCgroups;
import io.memcg4j.objcg.Scope;
import io.memcg4j.objcg.ScopeFrame;
import io.memcg4j.percpu.CpuSlot;
import java.time.Duration;
import java.util.Locale;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Allocation that waits while a limit refuses. Requests that the same group makes wait are served
 * in the order in which they came, so a large one is not starved by small ones that fit; requests
 * of {@link Kmalloc#allocate}, which do not wait, may come in between.
 *
 * <p>A request that waits reclaims, as every other one, but leaves the out-of-memory policy alone.
 * One that is larger than a limit waits too: the limit may be raised. Outside any scope, where
 * nothing is charged, nothing waits.
 *
 * <p>Thread-safe. Obtain with {@link Kmalloc#waiting}.
 */
public final class KmallocWait {
  private final Kmalloc kmalloc;
  private final ObjCgroups registry;

  KmallocWait(Kmalloc kmalloc) {
    this.kmalloc = kmalloc;
    this.registry = kmalloc.allocator().registry();
  }

  /**
   * As {@link Kmalloc#allocate}, but waits, parked, until the request fits. Platform and virtual
   * threads. The scope keeps its slot meanwhile; what the slot holds in advance is given back. A
   * {@linkplain Scope#moveTo move} of the scope takes effect when it is the request's turn.
   *
   * @param nrBytes 0 to the size of the range
   * @param timeout how long to wait; if not positive, it is tried once
   * @return the address; {@link Kmalloc#NULL} if the time was over first
   * @throws InterruptedException if interrupted while it waits; nothing was allocated
   * @throws IllegalStateException if the group that pays is removed while it waits
   * @throws MemoryLimitException if the OS refuses
   * @throws IllegalArgumentException if the size is out of range
   */
  public long allocateAwait(long nrBytes, Duration timeout) throws InterruptedException {
    ScopeFrame scope = registry.currentScope();
    if (scope == null) {
      return kmalloc.allocate(nrBytes);
    }
    CpuSlot own = scope.holdsSlot() ? scope.slot() : null;
    Request request = new Request(nrBytes, () -> kmalloc.allocate(nrBytes, SlabAllocator.WAITING));
    long deadlineNanos = RoomWait.deadline(timeout);
    while (true) {
      scope.resync();
      request.group = scope.current().group();
      RoomWait.Outcome outcome =
          new RoomWait(request.group, deadlineNanos, own).await(request::attempt);
      if (outcome != RoomWait.Outcome.MOVED) {
        return request.result(outcome);
      }
    }
  }

  /**
   * As {@link #allocateAwait}, on a virtual thread that holds a slot only while it tries: for
   * threads that may not block. The group of the caller's scope pays.
   *
   * @param nrBytes 0 to the size of the range
   * @param timeout how long to wait; if not positive, it is tried once
   * @return completes with the address, or {@link Kmalloc#NULL} if the time was over first; with
   *     the errors of {@code allocateAwait}. A {@link CompletableFuture}: completing or cancelling
   *     it ends the wait, and memory that was granted at that moment is freed.
   * @throws IllegalArgumentException if the size is out of range
   */
  public CompletionStage<Long> allocateAsync(long nrBytes, Duration timeout) {
    kmalloc.sized().checkSize(nrBytes);
    ScopeFrame scope = registry.currentScope();
    ObjCgroup payer = scope == null ? registry.rootHandle() : scope.current();
    Request request =
        new Request(
            nrBytes,
            () -> {
              try (Scope _ = payer.enter()) {
                return kmalloc.allocate(nrBytes, SlabAllocator.WAITING);
              }
            });
    request.group = payer.group();
    RoomWait wait = new RoomWait(request.group, RoomWait.deadline(timeout), null);
    CompletableFuture<Long> promise = new CompletableFuture<>();
    var _ = promise.whenComplete((_, _) -> wait.cancel());
    Thread.ofVirtual().name("memcg4j-wait").start(() -> fulfil(promise, wait, request));
    return promise;
  }

  private void fulfil(CompletableFuture<Long> promise, RoomWait wait, Request request) {
    try {
      long address = request.result(wait.await(request::attempt));
      if (!promise.complete(address)) {
        kmalloc.free(address);
      }
    } catch (Throwable e) {
      promise.completeExceptionally(e);
    }
  }

  /** One request, however often it is tried. By the thread that waits. */
  private final class Request {
    private final long nrBytes;
    private final LongSupplier allocation;
    private MemCgroup group = registry.rootHandle().group();
    private long address = Kmalloc.NULL;

    Request(long nrBytes, LongSupplier allocation) {
      this.nrBytes = nrBytes;
      this.allocation = allocation;
    }

    /** Null if granted; else the group that refused. */
    @Nullable MemCgroup attempt() {
      try {
        address = allocation.getAsLong();
        return null;
      } catch (MemoryLimitException e) {
        if (e.limitedBy().equals(MemoryLimitException.OS)) {
          throw e;
        }
        MemCgroup refusing = group.treeRoot().find(e.limitedBy());
        return refusing == null ? group : refusing; // removed meanwhile
      }
    }

    long result(RoomWait.Outcome outcome) {
      if (outcome == RoomWait.Outcome.REMOVED || outcome == RoomWait.Outcome.MOVED) {
        throw new IllegalStateException(
            String.format(
                Locale.ROOT,
                "group was removed: group=%s operation=allocateAwait requestedBytes=%d",
                group.path(),
                nrBytes));
      }
      return address; // NULL unless granted
    }
  }
}
