/**
 * The tree of memory control groups: limits, charges, page stocks.
 *
 * <p>{@link io.memcg4j.memcg.MemCgroup} is the only door. Groups count pages; who pays for which
 * bytes of a page is the matter of the floor above. {@link io.memcg4j.memcg.ContainerMemory} stands
 * beside the tree: it tells what the operating system leaves for a root group.
 */
package io.memcg4j.memcg;
