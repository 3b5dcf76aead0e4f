package io.memcg4j.netty;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryLimitException;
import io.memcg4j.slab.Kmalloc;
import io.netty.bootstrap.Bootstrap;
import io.netty.bootstrap.ServerBootstrap;
import io.netty.buffer.ByteBuf;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.nio.NioIoHandler;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.channel.socket.nio.NioSocketChannel;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/** A real server and its clients over loopback: each connection is a tenant with a limit. */
final class EchoNettyTest {
  static {
    LeakReports.install();
  }

  private static final int NR_TENANTS = 4;
  private static final int GREEDY = 2;
  private static final long MAX = 1 << 20;
  private static final int MESSAGE = 10_000;
  private static final int NR_MESSAGES = 20;

  private final MemCgroup root = MemCgroup.root();
  private final Kmalloc kmalloc = Kmalloc.create(root);
  private final List<MemcgByteBufAllocator> tenants = new ArrayList<>();
  private final MemcgByteBufAllocator clients =
      new MemcgByteBufAllocator(kmalloc, root.create("clients"));
  private final Map<String, Throwable> failures = new ConcurrentHashMap<>();

  /** Collects a message of so many bytes as its first four say, and sends it back. */
  private final class Echo extends ChannelInboundHandlerAdapter {
    private @Nullable ByteBuf collected;

    @Override
    public void channelRead(ChannelHandlerContext context, Object message) {
      ByteBuf bytes = (ByteBuf) message;
      try {
        if (collected == null) {
          collected = context.alloc().buffer(16);
        }
        collected.writeBytes(bytes); // grows at the tenant's cost
      } finally {
        bytes.release();
      }
      while (collected != null
          && collected.readableBytes() >= 4
          && collected.readableBytes() >= 4 + collected.getInt(collected.readerIndex())) {
        int nrBytes = 4 + collected.getInt(collected.readerIndex());
        var _ = context.writeAndFlush(collected.readRetainedSlice(nrBytes));
        if (!collected.isReadable()) {
          collected.release();
          collected = null;
        }
      }
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
      MemcgByteBufAllocator allocator = (MemcgByteBufAllocator) context.alloc();
      failures.put(allocator.group().path(), cause);
      var _ = context.close();
    }

    @Override
    public void channelInactive(ChannelHandlerContext context) {
      if (collected != null) {
        collected.release();
        collected = null;
      }
    }
  }

  /** Counts what comes back, and checks that it is what was sent. */
  private static final class Client extends ChannelInboundHandlerAdapter {
    final BlockingQueue<Long> received = new LinkedBlockingQueue<>();
    final byte mark;
    long nrBytes;
    boolean wrong;

    Client(int number) {
      mark = (byte) number;
    }

    @Override
    public void channelRead(ChannelHandlerContext context, Object message) {
      ByteBuf bytes = (ByteBuf) message;
      byte[] copy = new byte[bytes.readableBytes()];
      bytes.readBytes(copy).release();
      for (byte b : copy) {
        wrong |= nrBytes++ % (MESSAGE + 4) >= 4 && b != mark;
      }
      received.add(nrBytes);
    }

    @Override
    public void channelInactive(ChannelHandlerContext context) {
      received.add(-1L);
    }

    /** Waits until so many bytes came back, or the connection is closed. */
    boolean await(long expected) throws InterruptedException {
      while (true) {
        Long sum = received.poll(60, TimeUnit.SECONDS);
        if (sum == null) {
          throw new AssertionError("nothing comes back");
        }
        if (sum < 0 || sum >= expected) {
          return sum == expected;
        }
      }
    }
  }

  @Test
  void echo_oneTenantMeetsItsLimit_onlyItsConnectionFails() throws Exception {
    EventLoopGroup loops = new MultiThreadIoEventLoopGroup(2, NioIoHandler.newFactory());
    try {
      for (int i = 0; i < NR_TENANTS; i++) {
        MemCgroup group = root.create("tenant" + i);
        group.setMax(MAX);
        tenants.add(new MemcgByteBufAllocator(kmalloc, group));
      }
      BlockingQueue<MemcgByteBufAllocator> next = new LinkedBlockingQueue<>(tenants);
      Channel server = serve(loops, next);
      List<Client> handlers = new ArrayList<>();
      List<Channel> channels = new ArrayList<>();
      for (int i = 0; i < NR_TENANTS; i++) {
        handlers.add(new Client(i));
        channels.add(connect(loops, server, handlers.getLast()));
        int nrAccepted = i + 1;
        await(() -> next.size() == NR_TENANTS - nrAccepted); // so that client i is tenant i
      }
      for (int round = 1; round <= NR_MESSAGES; round++) {
        for (int i = 0; i < NR_TENANTS; i++) {
          if (i == GREEDY && round == NR_MESSAGES / 2) {
            send(channels.get(i), (int) (2 * MAX), i); // more than the tenant may collect
          } else if (i != GREEDY || round < NR_MESSAGES / 2) {
            send(channels.get(i), MESSAGE, i);
          }
        }
      }
      for (int i = 0; i < NR_TENANTS; i++) {
        boolean complete = handlers.get(i).await((long) NR_MESSAGES * (MESSAGE + 4));
        assertEquals(i != GREEDY, complete, "tenant=" + i);
      }
      assertEquals(1, failures.size(), failures::toString);
      Throwable failure = failures.get("/tenant" + GREEDY);
      assertTrue(failure instanceof MemoryLimitException, failures::toString);
      for (int i = 0; i < NR_TENANTS; i++) {
        assertEquals(i != GREEDY, channels.get(i).isActive() && !handlers.get(i).wrong);
        MemCgroup group = tenants.get(i).group();
        assertTrue(group.peak() > 0 && group.peak() <= MAX, () -> group + " " + group.peak());
        assertEquals(i == GREEDY, group.events().max() > 0, group::path);
      }
      for (Channel channel : channels) {
        channel.close().sync();
      }
      server.close().sync();
    } finally {
      loops.shutdownGracefully(0, 30, TimeUnit.SECONDS).sync();
    }
    int leaksBefore = LeakReports.COUNT.get();
    System.gc();
    for (MemcgByteBufAllocator tenant : tenants) {
      root.drain();
      assertEquals(0, tenant.group().usage(), () -> tenant.group().path());
      tenant.close();
    }
    assertEquals(0, clients.group().usage());
    clients.close();
    assertEquals(leaksBefore, LeakReports.COUNT.get());
    kmalloc.close();
  }

  private Channel serve(EventLoopGroup loops, BlockingQueue<MemcgByteBufAllocator> next)
      throws InterruptedException {
    return new ServerBootstrap()
        .group(loops)
        .channel(NioServerSocketChannel.class)
        .childHandler(
            new ChannelInitializer<Channel>() {
              @Override
              protected void initChannel(Channel channel) {
                channel.config().setAllocator(next.remove());
                channel.pipeline().addLast(new MemcgThrottleHandler(), new Echo());
              }
            })
        .bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0))
        .sync()
        .channel();
  }

  private Channel connect(EventLoopGroup loops, Channel server, Client handler)
      throws InterruptedException {
    return new Bootstrap()
        .group(loops)
        .channel(NioSocketChannel.class)
        .handler(
            new ChannelInitializer<Channel>() {
              @Override
              protected void initChannel(Channel channel) {
                channel.config().setAllocator(clients);
                channel.pipeline().addLast(handler);
              }
            })
        .connect(server.localAddress())
        .sync()
        .channel();
  }

  private static void send(Channel channel, int nrBytes, int mark) {
    byte[] bytes = new byte[nrBytes];
    Arrays.fill(bytes, (byte) mark);
    var _ =
        channel.writeAndFlush(
            channel.alloc().buffer(4 + nrBytes).writeInt(nrBytes).writeBytes(bytes));
  }

  private interface Condition {
    boolean holds();
  }

  private static void await(Condition condition) throws InterruptedException {
    for (int i = 0; i < 6000 && !condition.holds(); i++) {
      Thread.sleep(10);
    }
    assertTrue(condition.holds(), "does not happen");
  }
}
