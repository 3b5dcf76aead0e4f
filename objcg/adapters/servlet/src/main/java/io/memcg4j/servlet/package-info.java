/**
 * Requests of a servlet container, each paid for by a group: {@link
 * io.memcg4j.servlet.MemcgFilter}.
 */
package io.memcg4j.servlet;
