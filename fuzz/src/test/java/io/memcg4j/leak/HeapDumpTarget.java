package io.memcg4j.leak;

import io.memcg4j.fuzz.TargetChecks;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.atomic.AtomicLong;

/** Heap dumps. */
public final class HeapDumpTarget {
  private static final long MIN = 1L << 40;
  private static final long MAX = MIN + (1L << 20);

  private HeapDumpTarget() {}

  /**
   * One input: the dump.
   *
   * @param data the input
   */
  public static void fuzzerTestOneInput(byte[] data) {
    AtomicLong nrAddresses = new AtomicLong();
    try {
      HprofReader.Counts counts =
          HprofReader.read(
              MemorySegment.ofArray(data),
              MIN,
              MAX,
              value -> {
                TargetChecks.require(value >= MIN && value < MAX, "not asked for");
                nrAddresses.incrementAndGet();
              },
              "Own"::equals,
              Pace.FULL);
      TargetChecks.require(counts.nrAddresses() == nrAddresses.get(), "not counted");
      TargetChecks.require(counts.nrLongs() <= data.length / Long.BYTES, "more than there is");
    } catch (HeapDumpException e) {
      TargetChecks.clean(e);
    }
  }

  /**
   * A dump to begin with: a class with a field, an instance of it, an array.
   *
   * @return its bytes
   */
  public static byte[] seed() {
    ByteBuffer dump = ByteBuffer.allocate(400);
    dump.put("JAVA PROFILE 1.0.2\0".getBytes(StandardCharsets.US_ASCII)).putInt(8).putLong(0);
    dump.put((byte) 0x01).putInt(0).putInt(8 + 3).putLong(1).put((byte) 'O').put((byte) 'w');
    dump.put((byte) 'n');
    dump.put((byte) 0x02).putInt(0).putInt(24).putInt(1).putLong(2).putInt(0).putLong(1);
    dump.put((byte) 0x1c).putInt(0);
    int lengthAt = dump.position();
    dump.putInt(0);
    dump.put((byte) 0x20).putLong(2).putInt(0).putLong(0).putLong(0).putLong(0).putLong(0);
    dump.putLong(0).putLong(0).putInt(16).putShort((short) 0);
    dump.putShort((short) 1).putLong(1).put((byte) 11).putLong(MIN + 8);
    dump.putShort((short) 2).putLong(1).put((byte) 11).putLong(1).put((byte) 2);
    dump.put((byte) 0x21).putLong(3).putInt(0).putLong(2).putInt(16).putLong(MIN).putLong(4);
    dump.put((byte) 0x23).putLong(4).putInt(0).putInt(2).put((byte) 11).putLong(MIN + 16);
    dump.putLong(7);
    dump.putInt(lengthAt, dump.position() - lengthAt - 4);
    dump.put((byte) 0x2c).putInt(0).putInt(0);
    byte[] bytes = new byte[dump.flip().remaining()];
    dump.get(bytes);
    return bytes;
  }
}
