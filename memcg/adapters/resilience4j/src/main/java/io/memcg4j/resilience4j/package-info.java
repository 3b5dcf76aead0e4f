/**
 * Admission by the memory pressure of a control group: a {@linkplain
 * io.memcg4j.resilience4j.MemcgCircuitBreaker circuit breaker} that turns requests away, a
 * {@linkplain io.memcg4j.resilience4j.MemcgRateLimiter rate limiter} that slows them, and
 * {@linkplain io.memcg4j.resilience4j.MemcgRetry retries} of those that memory refused.
 */
package io.memcg4j.resilience4j;
