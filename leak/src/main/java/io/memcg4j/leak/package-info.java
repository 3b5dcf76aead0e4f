/** kmemleak: finds off-heap memory that nobody has a pointer to, in the running JVM, per tenant. */
package io.memcg4j.leak;
