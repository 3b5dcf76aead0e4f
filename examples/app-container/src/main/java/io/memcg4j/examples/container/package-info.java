/**
 * A servlet container whose web applications are tenants: each has a class loader, a group and a
 * quota of its own. {@link io.memcg4j.examples.container.Main} runs it.
 */
@NullMarked
package io.memcg4j.examples.container;

import org.jspecify.annotations.NullMarked;
