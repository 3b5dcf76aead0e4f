package io.memcg4j.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.benchmarks.Peer.Worker;
import org.junit.jupiter.api.Test;

/** That each peer does its work; how long that takes is nobody's business here. */
final class PeersBenchTest {
  @Test
  void eachPeer_fillsTouchesPairsAndFrees() {
    for (String name : Peer.NAMES) {
      try (Worker worker = Peer.of(name).worker()) {
        Object batch = worker.batch(100);
        worker.fill(batch, 64);
        worker.touch(batch);
        worker.free(batch);
        assertTrue(worker.pairs(10, 64) != 0, name);
      }
    }
  }

  @Test
  void unknownSubject_isToldWithTheKnownOnes() {
    CommandRun run = CommandRun.of("bench", "peers", "--subject", "nobody");
    assertEquals(Main.BAD_INPUT, run.exitCode());
    assertTrue(run.err().contains("known=" + Peer.NAMES), run.err());
  }
}
