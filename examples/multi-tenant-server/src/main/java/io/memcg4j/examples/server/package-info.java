/**
 * An HTTP store of values and JSON documents for many tenants, each under a memory control group of
 * its own, and the demo that drives it.
 */
@NullMarked
package io.memcg4j.examples.server;

import org.jspecify.annotations.NullMarked;
