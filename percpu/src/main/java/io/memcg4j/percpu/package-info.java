/** Per-CPU slots, counters and references: what a thread may touch without atomics. */
package io.memcg4j.percpu;
