/** Small programs that use memcg4j as an application would. */
@NullMarked
package io.memcg4j.examples.server;

import org.jspecify.annotations.NullMarked;
