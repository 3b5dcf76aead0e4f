package io.memcg4j.netty;

import io.memcg4j.memcg.Throttle;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * Slows a connection down whose group is above {@code memory.high}: instead of a pause on the event
 * loop, nothing is read from the connection for so long. For channels with a {@link
 * MemcgByteBufAllocator}; one handler per channel, anywhere in its pipeline. Switches {@code
 * autoRead}, so whoever else does should not be used with it.
 */
public final class MemcgThrottleHandler extends ChannelInboundHandlerAdapter {
  private @Nullable Future<?> pause; // under way

  /** A handler for one channel. */
  public MemcgThrottleHandler() {}

  @Override
  public void channelReadComplete(ChannelHandlerContext context) {
    if (pause == null && context.alloc() instanceof MemcgByteBufAllocator allocator) {
      Throttle due = allocator.takeThrottle();
      if (due.isNeeded() && context.channel().config().isAutoRead()) {
        pause(context, due.delayNanos());
      }
    }
    context.fireChannelReadComplete();
  }

  private void pause(ChannelHandlerContext context, long delayNanos) {
    context.channel().config().setAutoRead(false);
    pause = context.executor().schedule(() -> goOn(context), delayNanos, TimeUnit.NANOSECONDS);
  }

  private void goOn(ChannelHandlerContext context) {
    pause = null;
    context.channel().config().setAutoRead(true);
  }

  @Override
  public void handlerRemoved(ChannelHandlerContext context) {
    Future<?> underWay = pause;
    if (underWay != null) {
      underWay.cancel(false);
      goOn(context);
    }
  }
}
