/**
 * Meters of memory control groups: {@link io.memcg4j.micrometer.MemcgMetrics} binds them, {@link
 * io.memcg4j.micrometer.MemcgMeters} lists them.
 */
package io.memcg4j.micrometer;
