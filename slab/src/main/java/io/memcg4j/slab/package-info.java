/** The slab allocator: accounted off-heap memory by address. */
package io.memcg4j.slab;
