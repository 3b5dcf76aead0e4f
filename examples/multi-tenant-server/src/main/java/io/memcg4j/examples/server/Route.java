package io.memcg4j.examples.server;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/**
 * What a path names.
 *
 * @param kind of thing
 * @param tenant its name; empty for the list of tenants
 * @param key its key; empty for a tenant and for the list
 */
record Route(Kind kind, String tenant, String key) {
  /** Most characters of a key. */
  static final int MAX_KEY_LENGTH = 512;

  private static final String PREFIX = "/v1";

  /** What there is. */
  enum Kind {
    /** {@code /v1}. */
    TENANTS,
    /** {@code /v1/TENANT}. */
    TENANT,
    /** {@code /v1/TENANT/values/KEY}. */
    VALUE,
    /** {@code /v1/TENANT/documents/KEY}. */
    DOCUMENT
  }

  /**
   * Reads a path as it was sent.
   *
   * @throws ClientError if it names nothing
   */
  static Route parse(String rawPath) {
    if (rawPath.equals(PREFIX) || rawPath.equals(PREFIX + "/")) {
      return new Route(Kind.TENANTS, "", "");
    }
    if (!rawPath.startsWith(PREFIX + "/")) {
      throw new ClientError(
          404, "no such path: legal=/v1/TENANT/values/KEY, /v1/TENANT/documents/KEY");
    }
    List<String> names = new ArrayList<>();
    for (String segment : rawPath.substring(PREFIX.length() + 1).split("/", -1)) {
      names.add(decode(segment));
    }
    String tenant = names.getFirst();
    if (!TenantsFile.isLegalName(tenant)) {
      throw new ClientError(400, "bad tenant name: legal=[A-Za-z0-9._-], 1 to 64 of them");
    }
    if (names.size() == 1) {
      return new Route(Kind.TENANT, tenant, "");
    }
    if (names.size() != 3) {
      throw new ClientError(404, "no such path: a / within a key is sent as %2F");
    }
    Kind kind =
        switch (names.get(1)) {
          case "values" -> Kind.VALUE;
          case "documents" -> Kind.DOCUMENT;
          default -> throw new ClientError(404, "no such path: legal=values, documents");
        };
    String key = names.get(2);
    if (key.isEmpty()
        || key.length() > MAX_KEY_LENGTH
        || key.chars().anyMatch(Character::isISOControl)) {
      throw new ClientError(
          400, "bad key: legal=1.." + MAX_KEY_LENGTH + " characters, no control characters");
    }
    return new Route(kind, tenant, kind == Kind.VALUE ? "v/" + key : "d/" + key);
  }

  /** Bytes in percent form, which must be UTF-8. */
  static String decode(String segment) {
    if (segment.indexOf('%') < 0) {
      return segment;
    }
    ByteBuffer bytes = ByteBuffer.allocate(3 * segment.length());
    for (int i = 0; i < segment.length(); i++) {
      char c = segment.charAt(i);
      if (c != '%') {
        bytes.put(String.valueOf(c).getBytes(StandardCharsets.UTF_8));
        continue;
      }
      int high = i + 2 < segment.length() ? Character.digit(segment.charAt(i + 1), 16) : -1;
      int low = i + 2 < segment.length() ? Character.digit(segment.charAt(i + 2), 16) : -1;
      if (high < 0 || low < 0) {
        throw new ClientError(400, "bad path: % without two hexadecimal digits");
      }
      bytes.put((byte) (high << 4 | low));
      i += 2;
    }
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(bytes.flip()).toString();
    } catch (CharacterCodingException e) {
      throw new ClientError(400, "bad path: not UTF-8");
    }
  }
}
