package io.memcg4j.leak;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.HashMap;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A table of ids does what a map does. */
final class IdTableTest {
  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
  void randomCalls_asOfAMap(long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    IdTable<Integer> table = new IdTable<>();
    Map<Long, Integer> map = new HashMap<>();
    // Few ids in a table that has not grown: its rows run into each other, also round its end.
    int nrIds = seed < 5 ? 31 : 3000;
    for (int i = 0; i < 20_000; i++) {
      long id = random.nextInt(nrIds) * 8L;
      if (random.nextInt(3) > 0) {
        table.put(id, i);
        map.put(id, i);
      } else {
        table.remove(id);
        map.remove(id);
      }
      assertEquals(map.size(), table.size());
      long other = random.nextInt(nrIds) * 8L;
      assertEquals(map.get(other), table.get(other), () -> "seed=" + seed);
    }
    Map<Long, Integer> all = new HashMap<>();
    table.forEach(all::put);
    assertEquals(map, all);
  }
}
