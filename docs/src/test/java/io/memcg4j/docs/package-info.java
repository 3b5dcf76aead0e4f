/** Tests of the guide: what its pages tell the reader to type is typed here. */
@NullMarked
package io.memcg4j.docs;

import org.jspecify.annotations.NullMarked;
