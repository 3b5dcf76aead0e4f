/** All floors at once, for as long as one likes, with failures of every kind. */
@NullMarked
package io.memcg4j.soak;

import org.jspecify.annotations.NullMarked;
