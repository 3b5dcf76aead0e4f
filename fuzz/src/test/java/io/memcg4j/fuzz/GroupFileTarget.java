package io.memcg4j.fuzz;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemCgroupFs;
import java.nio.charset.StandardCharsets;
import java.util.List;

/** Files of a group: what is written, and the path that it is written to. */
public final class GroupFileTarget {
  private static final MemCgroup ROOT = MemCgroup.root();
  private static final MemCgroupFs FILES = new MemCgroupFs(ROOT);
  private static final List<String> NAMES = List.copyOf(fileNames());

  private GroupFileTarget() {}

  private static List<String> fileNames() {
    ROOT.create("a");
    return FILES.list("a");
  }

  /**
   * One input: a byte says which file, the rest is the text; or the path, if there is no such file.
   *
   * @param data the input
   */
  public static void fuzzerTestOneInput(byte[] data) {
    int which = data.length == 0 ? 0 : data[0] & 0xff;
    String text =
        new String(
            data, Math.min(1, data.length), Math.max(0, data.length - 1), StandardCharsets.UTF_8);
    boolean mayFreeLess =
        (which < NAMES.size() ? NAMES.get(which) : text).endsWith("memory.reclaim");
    try {
      if (which < NAMES.size()) {
        FILES.writeNoBlock("a/" + NAMES.get(which), text);
      } else {
        FILES.write(text, "1M");
      }
    } catch (IllegalArgumentException e) {
      TargetChecks.clean(e);
    } catch (IllegalStateException e) {
      TargetChecks.require(mayFreeLess, String.valueOf(e));
      TargetChecks.clean(e);
    }
    for (String name : NAMES) {
      if (!name.equals("memory.reclaim")) {
        TargetChecks.require(!FILES.read("a/" + name).isEmpty(), name);
      }
    }
    TargetChecks.require(ROOT.children().size() == 1, "groups were made");
  }
}
