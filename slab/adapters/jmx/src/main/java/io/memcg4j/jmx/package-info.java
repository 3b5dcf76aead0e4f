/**
 * Memory control groups and their allocator as MXBeans: {@link io.memcg4j.jmx.MemcgJmx} registers
 * them.
 */
package io.memcg4j.jmx;
