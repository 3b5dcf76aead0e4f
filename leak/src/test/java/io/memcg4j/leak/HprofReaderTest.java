package io.memcg4j.leak;

import static io.memcg4j.leak.HprofWriter.BYTE;
import static io.memcg4j.leak.HprofWriter.INT;
import static io.memcg4j.leak.HprofWriter.LONG;
import static io.memcg4j.leak.HprofWriter.OBJECT;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.leak.HprofWriter.Field;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.CancellationException;
import org.junit.jupiter.api.Test;

/** Which longs a heap dump gives, and that a damaged one gives a clear error and nothing else. */
final class HprofReaderTest {
  private static final long MIN = 0x7000_0000_0000L;
  private static final long MAX = 0x7000_0010_0000L;
  private static final String OWN = "io/memcg4j/slab/Slab";

  private static final long PARENT = 0x100;
  private static final long CHILD = 0x200;
  private static final long METADATA = 0x300;
  private static final Field[] NO_STATICS = {};

  private final List<Long> found = new ArrayList<>();

  private HprofReader.Counts read(MemorySegment dump, Pace pace) {
    return HprofReader.read(dump, MIN, MAX, found::add, OWN::equals, pace);
  }

  private HprofReader.Counts read(HprofWriter writer) {
    return read(writer.toSegment(), Pace.FULL);
  }

  private static Field aLong(long value) {
    return new Field(LONG, value);
  }

  private static Field anInt() {
    return new Field(INT, -1);
  }

  private static Field aReference(long id) {
    return new Field(OBJECT, id);
  }

  private static HprofWriter classes(HprofWriter writer) {
    return writer
        .classDump(PARENT, 0, NO_STATICS, LONG, BYTE)
        .classDump(CHILD, PARENT, NO_STATICS, INT, LONG, OBJECT);
  }

  /** A child's own fields come first, then the superclass's. */
  private static HprofWriter anInstance(HprofWriter writer) {
    return writer.instance(
        0x1000,
        CHILD,
        anInt(),
        aLong(MIN + 8),
        aReference(MIN + 24), // a reference to a Java object, whatever its address
        aLong(MIN + 16),
        new Field(BYTE, 1));
  }

  @Test
  void read_fieldsOfSuperclasses_areFound() {
    HprofReader.Counts counts = read(anInstance(classes(new HprofWriter())));
    assertEquals(List.of(MIN + 8, MIN + 16), found);
    assertEquals(new HprofReader.Counts(1, 2, 2), counts);
  }

  @Test
  void read_instanceBeforeItsClass_isFound() {
    HprofWriter writer = anInstance(new HprofWriter()).endSegment();
    read(classes(writer));
    assertEquals(List.of(MIN + 8, MIN + 16), found);
  }

  @Test
  void read_classBeforeItsSuperclass_isFound() {
    HprofWriter writer = new HprofWriter().classDump(CHILD, PARENT, NO_STATICS, INT, LONG, OBJECT);
    read(anInstance(writer).endSegment().classDump(PARENT, 0, NO_STATICS, LONG, BYTE));
    assertEquals(List.of(MIN + 8, MIN + 16), found);
  }

  @Test
  void read_classIsMissing_isAnError() {
    HprofWriter writer = new HprofWriter().classDump(CHILD, PARENT, NO_STATICS, LONG);
    writer.instance(0x1000, CHILD, aLong(MIN));
    HeapDumpException e = assertThrows(HeapDumpException.class, () -> read(writer));
    assertTrue(String.valueOf(e.getMessage()).contains("class=512"), e::toString);
  }

  @Test
  void read_classIsItsOwnAncestor_isAnError() {
    HprofWriter writer =
        new HprofWriter()
            .classDump(CHILD, PARENT, NO_STATICS, LONG)
            .classDump(PARENT, CHILD, NO_STATICS, LONG)
            .instance(0x1000, CHILD, aLong(MIN), aLong(MIN));
    assertThrows(HeapDumpException.class, () -> read(writer));
  }

  @Test
  void read_staticLongs_areFound() {
    Field[] statics = {anInt(), aLong(MIN + 32), aReference(MIN)};
    read(new HprofWriter().classDump(PARENT, 0, statics, LONG));
    assertEquals(List.of(MIN + 32), found);
  }

  @Test
  void read_arrays_onlyThoseOfLongsCount() {
    HprofWriter writer =
        new HprofWriter()
            .root(1)
            .longs(0x1000, 0, MIN - 1, MIN, MAX - 1, MAX, -1)
            .bytes(0x2000, 1000)
            .objects(0x3000, MIN, MIN + 8)
            .longs(0x4000);
    HprofReader.Counts counts = read(writer);
    assertEquals(List.of(MIN, MAX - 1), found);
    assertEquals(new HprofReader.Counts(4, 6, 2), counts);
  }

  /** Metadata, its statics and the arrays right behind it, in whatever order they come. */
  @Test
  void read_metadata_isLeftOut() {
    Field[] statics = {aLong(MIN), aReference(0x5000)};
    HprofWriter writer =
        new HprofWriter()
            .className(METADATA, OWN)
            .className(PARENT, OWN + "Test") // an application's class of a name like it
            .longs(0x4000, MIN + 40)
            .instance(0x1000, METADATA, aLong(MIN), aReference(0x4000), aReference(0x6000))
            .classDump(METADATA, 0, statics, LONG, OBJECT, OBJECT)
            .classDump(PARENT, 0, NO_STATICS, LONG)
            .instance(0x2000, PARENT, aLong(MIN + 48))
            .longs(0x5000, MIN + 56)
            .longs(0x6000, MIN + 64)
            .longs(0x7000, MIN + 72);
    read(writer);
    assertEquals(List.of(MIN + 48, MIN + 72), found);
  }

  @Test
  void read_notADump_isAnError() {
    for (byte[] bad :
        new byte[][] {
          {},
          "JAVA PROFILE 1.0.1\0aaaaaaaaaaaaa".getBytes(java.nio.charset.StandardCharsets.US_ASCII)
        }) {
      assertThrows(HeapDumpException.class, () -> read(MemorySegment.ofArray(bad), Pace.FULL));
    }
    byte[] narrow = new HprofWriter().toBytes();
    narrow[22] = 4;
    HeapDumpException e =
        assertThrows(HeapDumpException.class, () -> read(MemorySegment.ofArray(narrow), Pace.FULL));
    assertTrue(String.valueOf(e.getMessage()).contains("id size"), e::toString);
  }

  @Test
  void read_cancelled_stops() {
    MemorySegment dump = anInstance(classes(new HprofWriter())).toSegment();
    assertThrows(CancellationException.class, () -> read(dump, new Pace(100, () -> true)));
    assertEquals(List.of(), found);
  }

  private static byte[] everything() {
    HprofWriter writer = new HprofWriter().className(METADATA, OWN);
    Field[] statics = {aLong(MIN), aReference(0x5000)};
    classes(anInstance(writer).endSegment()).root(7);
    writer.classDump(METADATA, 0, statics, LONG, OBJECT);
    writer.instance(0x1000, METADATA, aLong(MIN), aReference(0x4000));
    return writer
        .longs(0x4000, MIN + 40)
        .endSegment()
        .longs(0x8000, MIN, MIN + 8)
        .bytes(0x2000, 100)
        .objects(0x3000, MIN, MIN + 8)
        .toBytes();
  }

  /** A dump that was cut off gives an error, or, at the end of a record, no more than the whole. */
  @Test
  void read_everyTruncation_isAnErrorOrAPrefix() {
    byte[] whole = everything();
    read(MemorySegment.ofArray(whole), Pace.FULL);
    List<Long> all = List.copyOf(found);
    assertEquals(4, all.size());
    int nrErrors = 0;
    for (int length = 0; length < whole.length; length++) {
      found.clear();
      try {
        read(MemorySegment.ofArray(whole).asSlice(0, length), Pace.FULL);
      } catch (HeapDumpException e) {
        nrErrors++;
      }
      assertTrue(all.containsAll(found), "length=" + length + " found=" + found);
    }
    assertTrue(nrErrors > whole.length * 9 / 10, "nrErrors=" + nrErrors);
  }

  @Test
  void read_damagedAnywhere_endsWithAnErrorOrAtAll() {
    long seed = new SplittableRandom().nextLong();
    SplittableRandom random = new SplittableRandom(seed);
    byte[] whole = everything();
    for (int round = 0; round < 20_000; round++) {
      byte[] bad = whole.clone();
      for (int n = 1 + random.nextInt(4); n > 0; n--) {
        int at = random.nextInt(bad.length);
        bad[at] =
            switch (random.nextInt(3)) {
              case 0 -> (byte) random.nextInt();
              case 1 -> (byte) (bad[at] ^ (1 << random.nextInt(8)));
              default -> (byte) -1;
            };
      }
      found.clear();
      try {
        read(MemorySegment.ofArray(bad), Pace.FULL);
      } catch (HeapDumpException e) {
        assertTrue(String.valueOf(e.getMessage()).startsWith("heap dump "), e::toString);
      } catch (RuntimeException | Error e) {
        throw new AssertionError("seed=" + seed + " round=" + round, e);
      }
      assertTrue(found.size() <= bad.length / 8, "seed=" + seed + " round=" + round);
    }
  }
}
