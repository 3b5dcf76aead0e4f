/**
 * Tests that fail when they leak off-heap memory, {@link io.memcg4j.junit.NoLeaks}, or take more
 * than they may, {@link io.memcg4j.junit.MemoryLimit}. For JUnit 5 and 6.
 */
package io.memcg4j.junit;
