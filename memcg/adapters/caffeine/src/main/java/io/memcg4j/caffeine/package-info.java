/**
 * A Caffeine cache whose entries a memory control group pays for. {@link
 * io.memcg4j.caffeine.MemcgCache} is the only door.
 */
package io.memcg4j.caffeine;
