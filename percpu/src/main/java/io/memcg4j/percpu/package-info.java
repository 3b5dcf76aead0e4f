/** Per-CPU slots, counters, references and memory: what a thread may touch without atomics. */
package io.memcg4j.percpu;
