/** What the tests of every floor share: no part of the product, on no class path but a test's. */
@NullMarked
package io.memcg4j.testkit;

import org.jspecify.annotations.NullMarked;
