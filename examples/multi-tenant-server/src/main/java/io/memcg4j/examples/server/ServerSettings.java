package io.memcg4j.examples.server;

import java.util.Map;

/**
 * What the tenants' file does not say.
 *
 * @param port 0 for any that is free
 * @param maxValueBytes largest body of a value
 * @param maxDocumentBytes largest body of a document
 * @param maxRequests of a tenant at a time; more are turned away
 * @param plugins by tenant's name
 */
record ServerSettings(
    int port,
    int maxValueBytes,
    int maxDocumentBytes,
    int maxRequests,
    Map<String, Plugin> plugins) {
  /** What {@code ./memcg4j serve} has. */
  static final ServerSettings DEFAULT = new ServerSettings(0, 8 << 20, 256 << 10, 64, Map.of());

  ServerSettings {
    plugins = Map.copyOf(plugins);
  }

  ServerSettings withPort(int other) {
    return new ServerSettings(other, maxValueBytes, maxDocumentBytes, maxRequests, plugins);
  }

  ServerSettings withMaxRequests(int other) {
    return new ServerSettings(port, maxValueBytes, maxDocumentBytes, other, plugins);
  }

  ServerSettings withPlugin(String tenant, Plugin plugin) {
    return new ServerSettings(
        port, maxValueBytes, maxDocumentBytes, maxRequests, Map.of(tenant, plugin));
  }
}
