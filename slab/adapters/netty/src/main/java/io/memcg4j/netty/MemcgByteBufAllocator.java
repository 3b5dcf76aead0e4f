package io.memcg4j.netty;

import io.memcg4j.memcg.Charge;
import io.memcg4j.memcg.ChargeMode;
import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryClass;
import io.memcg4j.memcg.Throttle;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.slab.Kmalloc;
import io.netty.buffer.AbstractByteBufAllocator;
import io.netty.buffer.ByteBuf;
import java.util.concurrent.atomic.AtomicReference;

/**
 * Buffers that one group pays for, whichever thread allocates, grows or releases them.
 *
 * <p>Give a connection the allocator of its tenant, before anything is read from it:
 *
 * <pre>{@code
 * protected void initChannel(SocketChannel channel) {
 *   channel.config().setAllocator(allocatorOf(tenant));
 *   channel.pipeline().addLast(new MemcgThrottleHandler(), ...);
 * }
 * }</pre>
 *
 * <p>Direct buffers are objects of a {@link Kmalloc}, charged with their size class from the first
 * allocation to the last release: duplicates, slices and composites share the charge of what they
 * show. Growing a buffer charges the new memory before it gives the old one back. Heap buffers are
 * arrays on the Java heap, whose lengths are declared to the group as {@link MemoryClass#HEAP}.
 * Neither is zeroed for a new buffer if its memory was used before, as with Netty's pooled buffers
 * (arrays are, by the JVM).
 *
 * <p>What a limit refuses throws {@link io.memcg4j.memcg.MemoryLimitException}; the buffer that
 * should have grown is as it was. In a read of Netty's it arrives at {@code exceptionCaught} of
 * that connection. Nothing sleeps above {@code memory.high}: what is due waits in {@link
 * #takeThrottle}, where {@link MemcgThrottleHandler} finds it.
 *
 * <p>Thread-safe; one per group is enough. Netty's leak detector watches all buffers.
 */
public final class MemcgByteBufAllocator extends AbstractByteBufAllocator implements AutoCloseable {
  private final Kmalloc kmalloc;
  private final MemCgroup group;
  private final Charge heap;
  private final AtomicReference<Throttle> throttle = new AtomicReference<>(Throttle.NONE);

  /**
   * An allocator for one group.
   *
   * @param kmalloc where direct buffers come from
   * @param group who pays, of the same tree
   */
  public MemcgByteBufAllocator(Kmalloc kmalloc, MemCgroup group) {
    super(true);
    this.kmalloc = kmalloc;
    this.group = group;
    this.heap = group.charge("netty heap buffers", MemoryClass.HEAP);
  }

  @Override
  protected ByteBuf newDirectBuffer(int initialCapacity, int maxCapacity) {
    return toLeakAwareBuffer(
        new SlabByteBuf(this, SlabMemory.allocate(this, initialCapacity), maxCapacity));
  }

  @Override
  protected ByteBuf newHeapBuffer(int initialCapacity, int maxCapacity) {
    return toLeakAwareBuffer(new DeclaredHeapByteBuf(this, initialCapacity, maxCapacity));
  }

  @Override
  public boolean isDirectBufferPooled() {
    return true; // as cheap as one: Netty then reads and writes without copies of its own
  }

  /**
   * The group that pays.
   *
   * @return the group that it was made for
   */
  public MemCgroup group() {
    return group;
  }

  /**
   * Bytes of heap buffers that are declared now.
   *
   * @return at least 0
   */
  public long heapBytes() {
    return heap.nrBytes();
  }

  /**
   * The longest pause above {@code memory.high} that became due since the last call. Whoever takes
   * it leaves the group's next request alone for so long.
   *
   * @return {@link Throttle#NONE} if none is due
   */
  public Throttle takeThrottle() {
    return throttle.get().isNeeded() ? throttle.getAndSet(Throttle.NONE) : Throttle.NONE;
  }

  /**
   * Ends the declaration of heap buffers: those that are still there count no more, and new ones
   * throw {@link IllegalStateException}. Until then a removed group is kept. Direct buffers are not
   * affected.
   */
  @Override
  public void close() {
    heap.close();
  }

  Kmalloc kmalloc() {
    return kmalloc;
  }

  long allocate(int nrBytes) {
    try (Scope scope = ObjCgroup.of(group).enter()) {
      scope.deferThrottle(true);
      long address = kmalloc.allocate(nrBytes);
      Throttle due = scope.takeThrottle();
      if (due.isNeeded()) {
        throttle.accumulateAndGet(due, (a, b) -> a.delayNanos() >= b.delayNanos() ? a : b);
      }
      return address;
    }
  }

  void declareHeap(int nrBytes) {
    MemCgroup refusing = heap.add(nrBytes, ChargeMode.RETRY_MAYFAIL); // does not sleep
    if (refusing != null) {
      throw group.refusal(refusing, nrBytes);
    }
  }

  void undeclareHeap(int nrBytes) {
    try {
      heap.add(-nrBytes, ChargeMode.FORCE);
    } catch (IllegalStateException e) {
      assert heap.nrBytes() == 0 : e; // closed before: nothing is declared any more
    }
  }
}
