package io.memcg4j.memcg;

/**
 * How often something happened in a group.
 *
 * <p>Origin: {@code memory.events} and {@code memory.events.local} of cgroup v2.
 *
 * @param max charges that a limit stopped, after everything that slots held in advance was given
 *     back, plus forced charges that passed a limit. Counted at the group whose limit it was.
 */
public record MemoryEvents(long max) {}
