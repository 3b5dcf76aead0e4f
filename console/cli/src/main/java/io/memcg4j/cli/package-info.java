/**
 * The command line: looks into and steers running JVMs of this user that embed the console, found
 * by the files that {@link io.memcg4j.console.ConsoleDirectory} lists.
 */
@NullMarked
package io.memcg4j.cli;

import org.jspecify.annotations.NullMarked;
