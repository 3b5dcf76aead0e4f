/** A {@code ByteBufAllocator} whose buffers a memory control group pays for. */
package io.memcg4j.netty;
