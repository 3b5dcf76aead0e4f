package io.memcg4j.examples.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemCgroup;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class TenantsFileTest {
  private static final long MIB = 1 << 20;

  @Test
  void parse_allEntries_areRead() throws Exception {
    TenantsFile file =
        TenantsFile.parse(
            """
            # everybody
            max = 1g
            [acme]
            min=1m
            low = 2 MiB   ; a comment
            high = 3M
            max = 4096k
            oom = clear
            [b.e-t_a]
            max = max
            """);
    assertEquals(1024 * MIB, file.maxBytes());
    assertEquals(
        List.of(
            new TenantSettings("acme", MIB, 2 * MIB, 3 * MIB, 4 * MIB, OomPolicy.CLEAR),
            new TenantSettings(
                "b.e-t_a", 0, 0, MemCgroup.UNLIMITED, MemCgroup.UNLIMITED, OomPolicy.REFUSE)),
        file.tenants());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "[a]~max=1m~[a]~max=2m            | line 3 | twice",
        "[a]~max=1m~max=2m                | line 3 | twice",
        "[a]~high=1m                      | line 1 | without a limit",
        "[a]~max=1m~high=2m               | line 1 | out of order",
        "[a]~max=1m~min=512k~low=1k       | line 1 | out of order",
        "[a]~max=lots                     | line 2 | not a size",
        "[a]~max=-1                       | line 2 | not a size",
        "[a]~max=1m~color=red             | line 3 | not an entry",
        "[a]~max                          | line 2 | not an entry",
        "[a]~max=1m~oom=panic             | line 3 | bad policy",
        "[../etc]~max=1m                  | line 1 | bad tenant",
        "[]~max=1m                        | line 1 | bad tenant",
        "[a~max=1m                        | line 1 | bad tenant",
        "[a b]~max=1m                     | line 1 | bad tenant",
        "high=1m~[a]~max=1m               | line 1 | only max",
        "# nothing                        | line 1 | no tenant",
        "max=1m                           | line 1 | no tenant",
      })
  void parse_wrongText_namesLineAndReason(String text, String line, String reason) {
    TenantsFile.SyntaxException e =
        assertThrows(
            TenantsFile.SyntaxException.class, () -> TenantsFile.parse(text.replace('~', '\n')));
    assertTrue(String.valueOf(e.getMessage()).startsWith(line + ":"), e.getMessage());
    assertTrue(String.valueOf(e.getMessage()).contains(reason), e.getMessage());
  }

  @Test
  void sizes_beyondAllMeasure_areNoLimit() {
    assertEquals(MemCgroup.UNLIMITED, ByteSize.parse("999999999999999g"));
    assertEquals(4096, ByteSize.parse("4096"));
    assertEquals(4096, ByteSize.parse("4k"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", ".", "..", ".hidden", "-x", "a/b", "a\u0000", "ä", "a b", "<b>"})
  void isLegalName_hostile_isNot(String name) {
    assertTrue(!TenantsFile.isLegalName(name), name);
  }
}
