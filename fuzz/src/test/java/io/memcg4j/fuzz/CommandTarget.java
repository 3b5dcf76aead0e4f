package io.memcg4j.fuzz;

import io.memcg4j.leak.Kmemleak;
import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.slab.Kmalloc;
import java.nio.charset.StandardCharsets;
import java.time.Duration;

/** Commands of the kmemleak file. */
public final class CommandTarget {
  private static final Kmalloc KMALLOC = Kmalloc.builder(MemCgroup.root()).build();
  private static final Kmemleak KMEMLEAK =
      Kmemleak.builder(KMALLOC)
          .minAge(Duration.ZERO)
          .periodic(Duration.ofDays(1), Duration.ofDays(1))
          .withoutJavaHeap()
          .build();

  private CommandTarget() {}

  /**
   * One input: the text.
   *
   * @param data the input
   */
  public static void fuzzerTestOneInput(byte[] data) {
    try {
      String answer = KMEMLEAK.write(new String(data, StandardCharsets.UTF_8));
      TargetChecks.require(answer.length() < 100_000, "long answer");
    } catch (IllegalArgumentException e) {
      TargetChecks.clean(e);
    }
    KMEMLEAK.on();
    KMEMLEAK.write("scan=off");
    TargetChecks.require(KMEMLEAK.isOn(), "off");
  }
}
