/**
 * Meters of leak scans: {@link io.memcg4j.leakmeters.LeakMetrics} binds them, {@link
 * io.memcg4j.leakmeters.LeakMeters} lists them.
 */
package io.memcg4j.leakmeters;
