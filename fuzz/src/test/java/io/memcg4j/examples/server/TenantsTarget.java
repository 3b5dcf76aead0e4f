package io.memcg4j.examples.server;

import io.memcg4j.fuzz.TargetChecks;
import java.nio.charset.StandardCharsets;
import java.util.HashSet;
import java.util.Set;

/** Files of tenants. */
public final class TenantsTarget {
  private TenantsTarget() {}

  /**
   * One input: the text.
   *
   * @param data the input
   */
  public static void fuzzerTestOneInput(byte[] data) {
    try {
      Set<String> names = new HashSet<>();
      for (TenantSettings tenant :
          TenantsFile.parse(new String(data, StandardCharsets.UTF_8)).tenants()) {
        TargetChecks.require(names.add(tenant.name()), "twice");
        TargetChecks.require(tenant.name().matches("[A-Za-z0-9][A-Za-z0-9._-]{0,63}"), "name");
        TargetChecks.require(0 <= tenant.min() && tenant.min() <= tenant.low(), "min");
        TargetChecks.require(tenant.low() <= tenant.max(), "low");
      }
    } catch (TenantsFile.SyntaxException e) {
      TargetChecks.clean(e);
    }
  }
}
