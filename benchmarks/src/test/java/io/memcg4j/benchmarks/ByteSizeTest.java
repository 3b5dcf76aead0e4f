package io.memcg4j.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

final class ByteSizeTest {
  @ParameterizedTest
  @CsvSource({
    "0,0",
    "1,1",
    "4096,4096",
    "4k,4096",
    "4K,4096",
    "4m,4194304",
    "4M,4194304",
    "3g,3221225472",
    "3G,3221225472",
    "1t,1099511627776",
    "max,9223372036854775807",
    "MAX,9223372036854775807",
    "9223372036854775807,9223372036854775807",
  })
  void parse_goodText_isBytes(String text, long expected) {
    assertEquals(expected, ByteSize.parse(text));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "m", "4x", "4mb", "-4m", "+4m", "4 m", " 4m", "4.5m", "0x10", "٤m"})
  void parse_badText_isRefusedWithTheText(String text) {
    IllegalArgumentException thrown =
        assertThrows(IllegalArgumentException.class, () -> ByteSize.parse(text));

    String expected = "bad size: text=" + text + " expected=digits with an optional suffix";
    assertTrue(String.valueOf(thrown.getMessage()).startsWith(expected), thrown.toString());
  }

  @ParameterizedTest
  @ValueSource(strings = {"9223372036854775808", "8388608t", "9007199254740992k"})
  void parse_tooLarge_isRefusedWithTheRange(String text) {
    IllegalArgumentException thrown =
        assertThrows(IllegalArgumentException.class, () -> ByteSize.parse(text));

    assertEquals(
        "size out of range: text=" + text + " range=0.." + Long.MAX_VALUE, thrown.getMessage());
  }

  @ParameterizedTest
  @CsvSource({
    "0,0 B",
    "1023,1023 B",
    "1024,1.00 KiB",
    "1801660,1.72 MiB",
    "1099511627776,1.00 TiB",
    "9223372036854775807,8388608.00 TiB",
  })
  void human_anyNumber_hasAUnit(long nrBytes, String expected) {
    assertEquals(expected, ByteSize.human(nrBytes));
  }
}
