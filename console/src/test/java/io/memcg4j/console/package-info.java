/** Tests of the console. */
@NullMarked
package io.memcg4j.console;

import org.jspecify.annotations.NullMarked;
