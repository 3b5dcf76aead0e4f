package io.memcg4j.examples.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class RouteTest {
  @Test
  void parse_legal_names() {
    assertEquals(new Route(Route.Kind.TENANTS, "", ""), Route.parse("/v1"));
    assertEquals(new Route(Route.Kind.TENANT, "acme", ""), Route.parse("/v1/acme"));
    assertEquals(
        new Route(Route.Kind.VALUE, "acme", "v/a/b ü"),
        Route.parse("/v1/acme/values/a%2Fb%20%C3%BC"));
    assertEquals(
        new Route(Route.Kind.DOCUMENT, "acme", "d/x"), Route.parse("/v1/acme/documents/x"));
  }

  @ParameterizedTest
  @CsvSource({
    "/, 404",
    "/v2/acme, 404",
    "/v1/acme/values, 404",
    "/v1/acme/values/a/b, 404",
    "/v1/acme/files/a, 404",
    "/v1/acme/values/, 400",
    "/v1/../values/a, 400",
    "/v1/%2e%2e/values/a, 400",
    "/v1/a%2Fb/values/a, 400",
    "/v1/%00/values/a, 400",
    "/v1/acme/values/%0a, 400",
    "/v1/acme/values/%zz, 400",
    "/v1/acme/values/%4, 400",
    "/v1/acme/values/%, 400",
    "/v1/acme/values/%ff, 400",
    "/v1/acme/values/%c0%af, 400",
  })
  void parse_hostile_isRefused(String path, int status) {
    assertEquals(status, assertThrows(ClientError.class, () -> Route.parse(path)).status());
  }

  @Test
  void parse_keyTooLong_isRefused() {
    String longest = "k".repeat(Route.MAX_KEY_LENGTH);
    assertEquals("v/" + longest, Route.parse("/v1/a/values/" + longest).key());
    ClientError e =
        assertThrows(ClientError.class, () -> Route.parse("/v1/a/values/" + longest + "k"));
    assertEquals(400, e.status());
  }
}
