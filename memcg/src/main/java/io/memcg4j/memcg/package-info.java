/** The tree of memory control groups: limits, charges, page stocks. */
package io.memcg4j.memcg;
