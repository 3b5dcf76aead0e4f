package io.memcg4j.fuzz;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemCgroupFs;
import java.nio.charset.StandardCharsets;

/** Names of groups: refused, or found again by path and as files. */
public final class GroupNameTarget {
  private static final MemCgroup ROOT = MemCgroup.root();
  private static final MemCgroupFs FILES = new MemCgroupFs(ROOT);

  private GroupNameTarget() {}

  /**
   * One input: the name, in UTF-8, or in UTF-16 after a zero.
   *
   * @param data the input
   */
  public static void fuzzerTestOneInput(byte[] data) {
    boolean isWide = data.length > 0 && data[0] == 0;
    String name =
        isWide
            ? new String(data, 1, data.length - 1, StandardCharsets.UTF_16LE)
            : new String(data, StandardCharsets.UTF_8);
    MemCgroup group;
    try {
      group = ROOT.create(name);
    } catch (IllegalArgumentException e) {
      TargetChecks.clean(e);
      TargetChecks.require(ROOT.children().isEmpty(), "refused, and there");
      return;
    }
    TargetChecks.require(group.name().equals(name), "other name");
    TargetChecks.require(group.path().lines().count() == 1, "path of several lines");
    TargetChecks.require(ROOT.find(group.path()) == group, "not found by its path");
    TargetChecks.require(
        FILES.read(group.path() + "/memory.max").equals("max\n"), "not found by its files");
    group.remove();
    TargetChecks.require(ROOT.children().isEmpty(), "removed, and there");
  }
}
