package io.memcg4j.examples.server;

/**
 * A section of the tenants' file.
 *
 * @param name of the tenant and of its group
 * @param min bytes that reclaim never takes
 * @param low bytes that reclaim takes only when there is nothing else
 * @param high bytes above which writers are slowed
 * @param max bytes above which writers are refused
 * @param oom what happens at {@code max}
 */
record TenantSettings(String name, long min, long low, long high, long max, OomPolicy oom) {}
