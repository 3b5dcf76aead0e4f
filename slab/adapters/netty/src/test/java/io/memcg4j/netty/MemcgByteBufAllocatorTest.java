package io.memcg4j.netty;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryClass;
import io.memcg4j.memcg.MemoryLimitException;
import io.memcg4j.slab.Kmalloc;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.CompositeByteBuf;
import io.netty.channel.embedded.EmbeddedChannel;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What buffers are charged, from the first byte to the last release. */
final class MemcgByteBufAllocatorTest {
  static {
    LeakReports.install();
  }

  private static final int PAGE = MemCgroup.PAGE_SIZE;

  private final MemCgroup root = MemCgroup.root();
  private final MemCgroup acme = root.create("acme");
  private final Kmalloc kmalloc = Kmalloc.create(root);
  private final MemcgByteBufAllocator allocator = new MemcgByteBufAllocator(kmalloc, acme);

  @AfterEach
  void nothingIsLeft() {
    assertEquals(0, usage());
    assertEquals(0, allocator.heapBytes());
    assertEquals(0, kmalloc.info().nrObjects());
    allocator.close();
    kmalloc.close();
  }

  private long usage() {
    root.drain();
    return acme.usage();
  }

  @Test
  void directBuffer_growsAndShrinks_chargeFollows() {
    ByteBuf buffer = allocator.directBuffer(4 * PAGE);
    assertTrue(buffer.isDirect());
    assertTrue(buffer.hasMemoryAddress());
    assertEquals(4 * PAGE, usage());
    buffer.writeBytes(new byte[4 * PAGE]).writeInt(42);
    assertTrue(buffer.capacity() > 4 * PAGE);
    assertTrue(buffer.hasMemoryAddress());
    assertEquals(roundUp(buffer.capacity()), usage());
    assertEquals(42, buffer.getInt(4 * PAGE));
    buffer.capacity(16 * PAGE);
    assertEquals(16 * PAGE, usage());
    assertEquals(42, buffer.getInt(4 * PAGE));
    buffer.capacity(3 * PAGE);
    assertEquals(3 * PAGE, usage());
    assertEquals(3 * PAGE, buffer.writerIndex());
    buffer.release();
  }

  private static long roundUp(long nrBytes) {
    return (nrBytes + PAGE - 1) & -PAGE;
  }

  @Test
  void duplicateAndSlice_retained_chargeStaysUntilTheLastRelease() {
    ByteBuf buffer =
        allocator.directBuffer(4 * PAGE).writeBytes("hello".getBytes(StandardCharsets.UTF_8));
    ByteBuf duplicate = buffer.retainedDuplicate();
    ByteBuf slice = buffer.readRetainedSlice(2);
    assertEquals(4 * PAGE, usage());
    buffer.release();
    assertEquals(4 * PAGE, usage());
    assertEquals("hello", duplicate.toString(StandardCharsets.UTF_8));
    duplicate.release();
    assertEquals("he", slice.toString(StandardCharsets.UTF_8));
    assertEquals(4 * PAGE, usage());
    slice.release();
  }

  @Test
  void composite_ofDirectAndHeap_chargesAreThoseOfItsParts() {
    CompositeByteBuf composite = allocator.compositeBuffer();
    composite.addComponent(true, allocator.directBuffer(4 * PAGE).writeZero(4 * PAGE));
    composite.addComponent(true, allocator.heapBuffer(4 * PAGE).writeZero(4 * PAGE));
    assertEquals(8 * PAGE, usage());
    composite.writeBytes(new byte[PAGE]); // grows by a component of its own
    assertTrue(usage() > 8 * PAGE);
    assertEquals(9 * PAGE, composite.readableBytes());
    composite.release();
  }

  @Test
  void heapBuffer_isDeclared() {
    ByteBuf buffer = allocator.heapBuffer(1000);
    assertTrue(buffer.hasArray());
    assertEquals(1000, allocator.heapBytes());
    buffer.writeBytes(new byte[5000]);
    assertEquals(buffer.capacity(), allocator.heapBytes());
    assertEquals(buffer.capacity(), acme.charges().getFirst().nrBytes());
    assertEquals(MemoryClass.HEAP, acme.charges().getFirst().memoryClass());
    acme.setMax(16 * PAGE);
    assertThrows(MemoryLimitException.class, () -> buffer.capacity(1 << 20));
    assertThrows(MemoryLimitException.class, () -> allocator.heapBuffer(1 << 20));
    assertEquals(buffer.capacity(), allocator.heapBytes());
    assertEquals(5000, buffer.readableBytes());
    buffer.release();
  }

  @Test
  void capacity_refused_bufferIsAsItWas() {
    ByteBuf buffer = allocator.directBuffer(4 * PAGE).writeZero(100).writeInt(42);
    acme.setMax(8 * PAGE);
    for (int capacity : new int[] {5 * PAGE, 8 * PAGE, 1 << 20}) {
      MemoryLimitException refusal =
          assertThrows(MemoryLimitException.class, () -> buffer.capacity(capacity));
      assertTrue(refusal.getMessage().contains("/acme"), refusal::getMessage);
      assertEquals(4 * PAGE, buffer.capacity());
      assertEquals(104, buffer.writerIndex());
      assertEquals(42, buffer.getInt(100));
      assertEquals(4 * PAGE, usage());
    }
    assertThrows(MemoryLimitException.class, () -> buffer.ensureWritable(1 << 20));
    assertEquals(42, buffer.getInt(100));
    buffer.release();
  }

  @Test
  void emptyBuffers_costNothing() {
    ByteBuf none = allocator.directBuffer(0, 0);
    ByteBuf small = allocator.directBuffer(0, 100);
    assertEquals(0, kmalloc.info().nrObjects());
    small.writeLong(7);
    assertEquals(7, small.getLong(0));
    none.release();
    small.release();
    assertThrows(RuntimeException.class, small::retain);
  }

  @Test
  void release_onAnotherThread_comesBack() throws Exception {
    List<ByteBuf> buffers = new ArrayList<>();
    for (int i = 0; i < 1000; i++) {
      buffers.add(allocator.directBuffer(1 + i).writeByte(i));
    }
    FutureTask<Boolean> releaseAll =
        new FutureTask<>(() -> buffers.stream().allMatch(ByteBuf::release));
    Thread thread = new Thread(releaseAll, "releasing");
    thread.start();
    assertTrue(releaseAll.get(60, TimeUnit.SECONDS));
    thread.join();
  }

  @Test
  void group_removed_parentPays() {
    MemCgroup child = acme.create("child");
    try (MemcgByteBufAllocator its = new MemcgByteBufAllocator(kmalloc, child)) {
      ByteBuf before = its.directBuffer(PAGE * 4);
      child.remove();
      ByteBuf after = its.directBuffer(PAGE * 4);
      assertEquals(8 * PAGE, usage());
      before.release();
      after.release();
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void random_changes_contentIsThatOfAnArray(long seed) {
    Random random = new Random(seed);
    ByteBuf buffer = allocator.directBuffer(16);
    byte[] expected = new byte[1 << 16];
    int length = 0;
    for (int step = 0; step < 500; step++) {
      int nrBytes = random.nextInt(300);
      if (length + nrBytes > expected.length || random.nextInt(50) == 0) {
        length = random.nextInt(length + 1);
        buffer.writerIndex(length);
        buffer.capacity(Math.max(1, length));
      } else {
        byte[] bytes = new byte[nrBytes];
        random.nextBytes(bytes);
        buffer.writeBytes(bytes);
        System.arraycopy(bytes, 0, expected, length, nrBytes);
        length += nrBytes;
      }
      assertEquals(length, buffer.readableBytes(), () -> "seed=" + seed);
    }
    byte[] actual = new byte[length];
    buffer.getBytes(0, actual);
    assertArrayEquals(Arrays.copyOf(expected, length), actual, () -> "seed=" + seed);
    buffer.release();
  }

  @Test
  void leakDetector_bufferIsForgotten_itIsReported() throws Exception {
    int before = LeakReports.COUNT.get();
    long address = forget();
    for (int i = 0; i < 200 && LeakReports.COUNT.get() == before; i++) {
      System.gc();
      Thread.sleep(10);
      allocator.directBuffer(1).release(); // Netty reports when it makes the next one
    }
    assertEquals(before + 1, LeakReports.COUNT.get());
    assertEquals(1, kmalloc.info().nrObjects());
    kmalloc.free(address);
  }

  private long forget() {
    return allocator.directBuffer(100).memoryAddress();
  }

  @Test
  void throttle_aboveHigh_nothingIsReadForAWhileAndTheLoopDoesNotSleep() {
    EmbeddedChannel channel = new EmbeddedChannel(new MemcgThrottleHandler());
    channel.config().setAllocator(allocator);
    channel.pipeline().fireChannelReadComplete();
    assertTrue(channel.config().isAutoRead());
    acme.setHigh(PAGE);
    List<ByteBuf> buffers = new ArrayList<>();
    long start = System.nanoTime();
    for (int i = 0; i < 200; i++) {
      buffers.add(allocator.directBuffer(64 * PAGE));
    }
    assertTrue(System.nanoTime() - start < TimeUnit.SECONDS.toNanos(60), "slept");
    channel.pipeline().fireChannelReadComplete();
    assertFalse(channel.config().isAutoRead());
    assertFalse(allocator.takeThrottle().isNeeded()); // taken by the handler
    channel.advanceTimeBy(2, TimeUnit.SECONDS); // the longest pause
    channel.runScheduledPendingTasks();
    assertTrue(channel.config().isAutoRead());
    buffers.forEach(ByteBuf::release);
    channel.finishAndReleaseAll();
  }
}
