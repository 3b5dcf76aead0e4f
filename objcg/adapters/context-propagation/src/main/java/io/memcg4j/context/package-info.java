/**
 * The group that pays follows the work through Micrometer's context propagation: to have {@link
 * io.memcg4j.context.TaskGroupsAccessor} on the class path is enough.
 */
package io.memcg4j.context;
