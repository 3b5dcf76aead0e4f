/**
 * The console: a control plane over HTTP on loopback and a web page, for one allocator and its tree
 * of groups. Off until {@link io.memcg4j.console.Console.Builder#start} is called.
 *
 * <table>
 * <caption>Resources; a text unless {@code ?format=json} or an Accept header asks for JSON</caption>
 * <tr><td>{@code GET /groups/a/b/memory.high}</td><td>a file of a group</td></tr>
 * <tr><td>{@code PUT /groups/a/b/memory.high}</td><td>writes it; {@code ?noblock} does not reclaim</td></tr>
 * <tr><td>{@code GET /groups/a/b/}</td><td>JSON: figures of the group and of its children</td></tr>
 * <tr><td>{@code GET /tree}</td><td>JSON: figures of all groups</td></tr>
 * <tr><td>{@code GET /history/a/b/}</td><td>JSON: 15 minutes of a group</td></tr>
 * <tr><td>{@code GET /slabinfo}, {@code /vmallocinfo}, {@code /stat}</td><td>of the allocator</td></tr>
 * <tr><td>{@code GET /kmemleak}</td><td>the file; JSON: the last report by call site</td></tr>
 * <tr><td>{@code PUT /kmemleak}, or POST</td><td>a command; its answer</td></tr>
 * <tr><td>{@code GET /profile}, PUT</td><td>live bytes by call site; {@code off}, {@code sample},
 * {@code exact}</td></tr>
 * <tr><td>{@code GET /metrics}</td><td>for Prometheus</td></tr>
 * <tr><td>{@code GET /events}</td><td>server-sent events: a group's counts, its pressure</td></tr>
 * <tr><td>{@code GET /live}</td><td>server-sent events: all groups, then what changes</td></tr>
 * </table>
 *
 * <p>Names of groups are percent-encoded in paths. Everything that is no GET needs the token as
 * {@code Authorization: Bearer}.
 */
@NullMarked
package io.memcg4j.console;

import org.jspecify.annotations.NullMarked;
