package io.memcg4j.leak;

import static io.memcg4j.leak.HprofWriter.LONG;
import static io.memcg4j.leak.HprofWriter.OBJECT;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.leak.HprofWriter.Field;
import java.lang.foreign.MemorySegment;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/** Heap dumps and commands that somebody made up: a clear error, little memory, an end. */
final class HostileDumpTest {
  private static final long MIN = 0x7000_0000_0000L;
  private static final long MAX = 0x7000_0010_0000L;
  private static final Field[] NO_STATICS = {};
  private static final int NR_DUMPS = 20_000;
  private static final int NR_COMMANDS = 20_000;
  private static final int NR_CLASSES = 3_000;
  private static final int FIELDS_PER_CLASS = 100;
  private static final int SLACK_BYTES = 4 << 20;
  private static final int[] RECORD_TAGS = {0x01, 0x02, 0x0c, 0x1c, 0x2c, 0xff};
  private static final int[] HEAP_TAGS = {
    0xff, 0x01, 0x02, 0x04, 0x05, 0x08, 0x20, 0x21, 0x22, 0x23, 0x99
  };

  private final long seed = Long.getLong("memcg4j.hostile.seed", System.nanoTime());
  private final SplittableRandom random = new SplittableRandom(seed);

  private static HprofReader.Counts read(byte[] dump) {
    return HprofReader.read(MemorySegment.ofArray(dump), MIN, MAX, _ -> {}, "x"::equals, Pace.FULL);
  }

  /** What a read takes of the Java heap, garbage included. */
  private static long bytesToRead(byte[] dump) {
    var threads = (com.sun.management.ThreadMXBean) ManagementFactory.getThreadMXBean();
    long before = threads.getCurrentThreadAllocatedBytes();
    try {
      read(dump);
    } catch (HeapDumpException e) {
      assertTrue(String.valueOf(e.getMessage()).startsWith("heap dump "), e::toString);
    }
    return threads.getCurrentThreadAllocatedBytes() - before;
  }

  /** Each class has the fields of all before it: together 1.8 GB of offsets in 3 MB. */
  @Test
  void read_longChainOfClasses_takesNoMoreThanTheDumpIsLong() {
    HprofWriter writer = new HprofWriter();
    int[] fields = new int[FIELDS_PER_CLASS];
    Arrays.fill(fields, LONG);
    for (int i = 1; i <= NR_CLASSES; i++) {
      writer.classDump(i, i - 1, NO_STATICS, fields);
    }
    for (int i = NR_CLASSES; i > 0; i--) {
      writer.instance(0x10_0000 + 8L * i, i);
    }
    byte[] dump = writer.toBytes();
    long nrBytes = bytesToRead(dump);
    assertTrue(nrBytes < 8L * dump.length + SLACK_BYTES, "read=" + nrBytes + " of=" + dump.length);
    HeapDumpException e = assertThrows(HeapDumpException.class, () -> read(dump));
    assertTrue(String.valueOf(e.getMessage()).contains("shorter than its class"), e::toString);
  }

  @Test
  void read_fieldsBeyondAnyObject_isAnError() {
    HprofWriter writer = new HprofWriter();
    int[] fields = new int[0xffff];
    Arrays.fill(fields, OBJECT);
    int nrClasses = 4;
    for (int i = 1; i <= nrClasses; i++) {
      writer.classDump(i, i - 1, NO_STATICS, fields);
    }
    writer.instance(0x10_0000, nrClasses);
    assertThrows(HeapDumpException.class, () -> read(writer.toBytes()));
  }

  /** Records of the right form with numbers of any size in them. */
  @Test
  void read_absurdLengths_isAnErrorOfLittleMemory() {
    int nrErrors = 0;
    byte[] header = new HprofWriter().toBytes();
    for (int round = 0; round < NR_DUMPS; round++) {
      byte[] dump = absurd(header);
      long nrBytes = bytesToRead(dump);
      assertTrue(
          nrBytes < SLACK_BYTES,
          "seed=" + seed + " round=" + round + " read=" + nrBytes + " of=" + dump.length);
      try {
        read(dump);
      } catch (HeapDumpException e) {
        nrErrors++;
      }
    }
    assertTrue(nrErrors > NR_DUMPS / 4, "seed=" + seed + " nrErrors=" + nrErrors);
  }

  private byte[] absurd(byte[] header) {
    ByteBuffer dump = ByteBuffer.allocate(2048).put(header);
    while (dump.remaining() > 600) {
      dump.put((byte) RECORD_TAGS[random.nextInt(RECORD_TAGS.length)]).putInt(0);
      int lengthAt = dump.position();
      dump.putInt(0);
      for (int n = random.nextInt(6); n > 0 && dump.remaining() > 120; n--) {
        dump.put((byte) HEAP_TAGS[random.nextInt(HEAP_TAGS.length)]);
        for (int fields = random.nextInt(10); fields > 0; fields--) {
          switch (random.nextInt(5)) {
            case 0 -> dump.putInt(anInt());
            case 1 -> dump.putLong(random.nextInt(4));
            case 2 -> dump.putLong(MIN + 8L * random.nextInt(100));
            case 3 -> dump.put((byte) random.nextInt(12));
            default -> dump.putShort((short) anInt());
          }
        }
      }
      int length = dump.position() - lengthAt - 4;
      dump.putInt(lengthAt, random.nextInt(8) == 0 ? anInt() : length);
    }
    return Arrays.copyOf(dump.array(), dump.position());
  }

  private int anInt() {
    return switch (random.nextInt(5)) {
      case 0 -> 0;
      case 1 -> -1;
      case 2 -> Integer.MAX_VALUE;
      case 3 -> random.nextInt(32);
      default -> random.nextInt();
    };
  }

  /** Nothing but the commands that there are does anything, and an error is one short line. */
  @Test
  void write_anyText_isACommandOrRefused() {
    String[] pieces =
        ("scan|scan=|dump=|clear|stack=|off|on|0x|0|7|-1|+| |\n|\u0000|\u2028|\ud800|%s|\"|\\|"
                + "ffffffffffffffff|99999999999999999999")
            .split("\\|", -1);
    try (LeakHeap heap = new LeakHeap()) {
      long held = heap.allocate(64);
      List<String> taken = new ArrayList<>();
      for (int i = 0; i < NR_COMMANDS; i++) {
        StringBuilder text = new StringBuilder();
        for (int n = random.nextInt(5); n > 0; n--) {
          text.append(pieces[random.nextInt(pieces.length)]);
        }
        String command =
            random.nextInt(500) == 0 ? text.toString().repeat(20_000) : text.toString();
        if (command.matches("(?s)(scan|off)(?!=).*|scan=(on|[+]?0*[1-9a-fx]).*")) {
          continue; // these work, and CommandTest has them: scans, threads and the end of it
        }
        try {
          heap.kmemleak.write(command);
          taken.add(command);
        } catch (IllegalArgumentException e) {
          String message = String.valueOf(e.getMessage());
          assertTrue(message.length() < 1000, () -> "seed=" + seed + " " + message);
          assertEquals(1, message.lines().count(), () -> "seed=" + seed + " " + message);
        }
      }
      for (String command : taken) {
        assertTrue(
            command.matches("(?s)(clear|stack=off|scan=off|scan=[+]?0|dump=).*"),
            () -> "seed=" + seed + " command=" + command);
      }
      assertTrue(taken.size() > 50, "taken=" + taken.size());
      assertTrue(heap.kmemleak.isOn());
      assertFalse(heap.kmemleak.periodic().isOn());
      heap.kmalloc.free(held);
    }
  }
}
