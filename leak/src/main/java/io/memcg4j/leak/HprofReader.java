package io.memcg4j.leak;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Locale;
import java.util.concurrent.CancellationException;
import java.util.function.LongConsumer;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Reads a heap dump once and passes on every long in it that lies in a range of addresses: instance
 * and static fields, elements of {@code long[]}. Addresses of native segments and direct buffers
 * are such fields. For one thread and one dump.
 */
final class HprofReader {
  /*
   * Layout     of the file: records of tag, time, length. Strings and class names first, so that the
   *            heap's segments can then be read with the names known; the first walk only hops from
   *            record to record.
   * Invariant  nothing is read outside the file, and no more kept than the file is long: a count
   *            that does not fit into what is left of its segment is an error.
   * Order      of records in the heap's segments is free. An instance whose class is not known yet
   *            waits for the end. So does a long[] with an address in it, since whether it belongs to
   *            metadata is known when every instance has been seen.
   * Metadata   of memcg4j is left out: instances and statics of its classes, and every long[] that a
   *            field of them refers to directly.
   * Origin     the format is that of the JDK's HPROF agent, version 1.0.2.
   */
  private static final ValueLayout.OfLong LONG =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN);
  private static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN);
  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN);

  private static final String MAGIC = "JAVA PROFILE 1.0.2";
  private static final int ID = 8;
  private static final int MAX_NAME_BYTES = 1 << 16;
  private static final int REST_INTERVAL = 1 << 14;

  private static final int UTF8 = 0x01;
  private static final int LOAD_CLASS = 0x02;
  private static final int HEAP_DUMP = 0x0c;
  private static final int HEAP_DUMP_SEGMENT = 0x1c;

  private static final int CLASS_DUMP = 0x20;
  private static final int INSTANCE_DUMP = 0x21;
  private static final int OBJECT_ARRAY_DUMP = 0x22;
  private static final int PRIMITIVE_ARRAY_DUMP = 0x23;

  private static final int TYPE_OBJECT = 2;
  private static final int TYPE_LONG = 11;

  private final MemorySegment dump;
  private final long fileEnd;
  private final long min;
  private final long span;
  private final LongConsumer sink;
  private final Predicate<String> isMetadata;
  private final Pace pace;

  private final LongList loadedIds = new LongList();
  private final LongList loadedNames = new LongList();
  private final IdTable<Boolean> metadataNames = new IdTable<>();
  private final IdTable<Boolean> metadataClasses = new IdTable<>();
  private final IdTable<HprofClass> classes = new IdTable<>();
  private final IdTable<Boolean> metadataArrays = new IdTable<>();
  private final LongList earlyInstances = new LongList();
  private final LongList arraysWithAddresses = new LongList();

  private @Nullable HprofClass lastClass;
  private long lastClassId;
  private long position;
  private long end;
  private long nrObjects;
  private long nrLongs;
  private long nrAddresses;
  private long sinceNanos = System.nanoTime();

  private HprofReader(
      MemorySegment dump,
      long min,
      long max,
      LongConsumer sink,
      Predicate<String> isMetadata,
      Pace pace) {
    this.dump = dump;
    this.min = min;
    span = max - min;
    this.sink = sink;
    this.isMetadata = isMetadata;
    this.pace = pace;
    fileEnd = dump.byteSize();
  }

  /** What was seen. */
  record Counts(long nrObjects, long nrLongs, long nrAddresses) {}

  /**
   * Reads a dump.
   *
   * @param min lowest address of interest
   * @param max end of the addresses of interest, exclusive
   * @param sink gets each value in that range, as often as it is found
   * @param isMetadata tells by name which classes' instances and statics to leave out
   * @throws HeapDumpException if the dump is damaged; the sink may have got values already
   * @throws CancellationException if the pace says so
   */
  static Counts read(
      MemorySegment dump,
      long min,
      long max,
      LongConsumer sink,
      Predicate<String> isMetadata,
      Pace pace) {
    HprofReader reader = new HprofReader(dump, min, max, sink, isMetadata, pace);
    try {
      reader.read();
    } catch (IndexOutOfBoundsException e) {
      throw new HeapDumpException(
          String.format(
              Locale.ROOT,
              "heap dump truncated: offset=%d nrBytes=%d",
              reader.position,
              reader.fileEnd),
          e);
    }
    return new Counts(reader.nrObjects, reader.nrLongs, reader.nrAddresses);
  }

  private void read() {
    readHeader();
    LongList segments = hop();
    checkLoadedNames();
    for (int i = 0; i < segments.size(); i += 2) {
      position = segments.get(i);
      end = segments.get(i + 1);
      readSegment();
    }
    end = fileEnd;
    for (int i = 0; i < earlyInstances.size(); i++) {
      position = earlyInstances.get(i);
      readInstance(true);
    }
    for (int i = 0; i < arraysWithAddresses.size(); i++) {
      rest(i);
      position = arraysWithAddresses.get(i);
      readLongs();
    }
  }

  private void readHeader() {
    end = fileEnd;
    for (int i = 0; i < MAGIC.length(); i++) {
      if (u1() != MAGIC.charAt(i)) {
        throw damaged("not a heap dump of version 1.0.2", 0);
      }
    }
    int nul = u1();
    int idSize = i4();
    skip(8);
    if (nul != 0 || idSize != ID) {
      throw damaged("id size is not that of a 64-bit JVM", idSize);
    }
  }

  /** Walks over the records; keeps the names of metadata and where the heap's segments are. */
  private LongList hop() {
    LongList segments = new LongList();
    for (long nrRecords = 0; position < fileEnd; nrRecords++) {
      rest(nrRecords);
      int tag = u1();
      skip(4);
      long length = u4();
      long next = position + length;
      if (next > fileEnd) {
        throw damaged("record ends after the file: length", length);
      }
      switch (tag) {
        case UTF8 -> readName(length);
        case LOAD_CLASS -> {
          skip(4);
          long id = i8();
          skip(4);
          loadedIds.add(id);
          loadedNames.add(i8());
        }
        case HEAP_DUMP, HEAP_DUMP_SEGMENT -> {
          segments.add(position);
          segments.add(next);
        }
        default -> {}
      }
      position = next;
    }
    return segments;
  }

  private void readName(long length) {
    long id = i8();
    long nrBytes = length - ID;
    // Every name of a method and a field is here too: most are told by their first letters.
    if (nrBytes >= 3
        && nrBytes <= MAX_NAME_BYTES
        && dump.get(JAVA_BYTE, position) == 'i'
        && dump.get(JAVA_BYTE, position + 1) == 'o') {
      byte[] bytes = dump.asSlice(position, nrBytes).toArray(JAVA_BYTE);
      String name = new String(bytes, StandardCharsets.UTF_8);
      if (isMetadata.test(name)) {
        metadataNames.put(id, Boolean.TRUE);
      }
    }
  }

  private void checkLoadedNames() {
    for (int i = 0; i < loadedIds.size(); i++) {
      if (metadataNames.contains(loadedNames.get(i))) {
        metadataClasses.put(loadedIds.get(i), Boolean.TRUE);
      }
    }
  }

  private void readSegment() {
    for (long nrRecords = 0; position < end; nrRecords++) {
      rest(nrRecords);
      long start = position;
      int tag = u1();
      switch (tag) {
        case INSTANCE_DUMP -> readInstance(false);
        case OBJECT_ARRAY_DUMP -> {
          skip(ID + 4);
          long count = u4();
          nrObjects++;
          skip(ID + count * ID);
        }
        case PRIMITIVE_ARRAY_DUMP -> readPrimitiveArray();
        case CLASS_DUMP -> readClass();
        default -> {
          int length = rootBytes(tag);
          if (length < 0) {
            throw new HeapDumpException(
                String.format(
                    Locale.ROOT,
                    "heap dump damaged: unknown record: tag=0x%02x offset=%d",
                    tag,
                    start));
          }
          skip(length);
        }
      }
    }
  }

  /** Bytes of the record of a root, after its tag; -1 if the tag is none. */
  private static int rootBytes(int tag) {
    return switch (tag) {
      case 0xff, 0x05, 0x07 -> ID; // unknown, sticky class, monitor
      case 0x01 -> ID + ID; // JNI global
      case 0x02, 0x03, 0x08 -> ID + 8; // JNI local, Java frame, thread object
      case 0x04, 0x06 -> ID + 4; // native stack, thread block
      default -> -1;
    };
  }

  private void readClass() {
    long id = i8();
    skip(4);
    long superId = i8();
    skip(5 * ID + 4);
    for (int n = u2(); n > 0; n--) {
      skip(2);
      skip(typeBytes(u1()));
    }
    boolean metadata = metadataClasses.contains(id);
    for (int n = u2(); n > 0; n--) {
      skip(ID);
      int type = u1();
      if (type == TYPE_LONG) {
        long value = i8();
        nrLongs++;
        if (!metadata) {
          offer(value);
        }
      } else if (type == TYPE_OBJECT && metadata) {
        metadataArrays.put(i8(), Boolean.TRUE);
      } else {
        skip(typeBytes(type));
      }
    }
    int nrFields = u2();
    int[] longs = new int[nrFields];
    int[] references = new int[nrFields];
    int nrOfLongs = 0;
    int nrReferences = 0;
    int offset = 0;
    for (int i = 0; i < nrFields; i++) {
      skip(ID);
      int type = u1();
      if (type == TYPE_LONG) {
        longs[nrOfLongs++] = offset;
      } else if (type == TYPE_OBJECT) {
        references[nrReferences++] = offset;
      }
      offset += typeBytes(type);
    }
    classes.put(
        id,
        new HprofClass(
            superId,
            metadata,
            Arrays.copyOf(longs, nrOfLongs),
            Arrays.copyOf(references, nrReferences),
            offset));
  }

  private int typeBytes(int type) {
    return switch (type) {
      case TYPE_OBJECT, 7, TYPE_LONG -> 8; // 7: double
      case 4, 8 -> 1; // boolean, byte
      case 5, 9 -> 2; // char, short
      case 6, 10 -> 4; // float, int
      default -> throw damaged("unknown type", type);
    };
  }

  /** Reads from behind the tag of an instance. */
  private void readInstance(boolean last) {
    long start = position;
    long classId = dump.get(LONG, start + ID + 4);
    long nrBytes = Integer.toUnsignedLong(dump.get(INT, start + ID + 4 + ID));
    long fields = start + ID + 4 + ID + 4;
    position = fields;
    skip(nrBytes);
    HprofClass type = lastClass;
    if (type == null || classId != lastClassId) {
      HprofClass found = classes.get(classId);
      if (found == null || !found.resolve(classes)) {
        if (last) {
          throw damaged("instance of a class that is not in the dump: class", classId);
        }
        earlyInstances.add(start);
        return;
      }
      type = found;
      lastClass = found;
      lastClassId = classId;
    }
    nrObjects++;
    if (type.nrBytes() > nrBytes) {
      throw damaged("instance is shorter than its class: nrBytes", nrBytes);
    }
    if (type.metadata) {
      for (int offset : type.references()) {
        metadataArrays.put(dump.get(LONG, fields + offset), Boolean.TRUE);
      }
      return;
    }
    int[] longs = type.longs();
    nrLongs += longs.length;
    for (int offset : longs) {
      offer(dump.get(LONG, fields + offset));
    }
  }

  /** Reads from behind the tag of an array of primitives. */
  private void readPrimitiveArray() {
    long start = position;
    skip(ID + 4);
    long count = u4();
    int type = u1();
    nrObjects++;
    if (type != TYPE_LONG) {
      skip(count * typeBytes(type));
      return;
    }
    long elements = position;
    skip(count * Long.BYTES);
    nrLongs += count;
    for (long i = 0; i < count; i++) {
      rest(i);
      if (isInRange(dump.get(LONG, elements + i * Long.BYTES))) {
        arraysWithAddresses.add(start);
        return;
      }
    }
  }

  private void readLongs() {
    long id = i8();
    skip(4);
    long count = u4();
    skip(1);
    if (metadataArrays.contains(id)) {
      return;
    }
    long elements = position;
    for (long i = 0; i < count; i++) {
      rest(i);
      offer(dump.get(LONG, elements + i * Long.BYTES));
    }
  }

  private void offer(long value) {
    if (isInRange(value)) {
      nrAddresses++;
      sink.accept(value);
    }
  }

  private boolean isInRange(long value) {
    return Long.compareUnsigned(value - min, span) < 0;
  }

  private void rest(long nrDone) {
    if ((nrDone & (REST_INTERVAL - 1)) == 0) {
      sinceNanos = pace.rest(sinceNanos);
    }
  }

  private void skip(long nrBytes) {
    // Neither factor of a length has more than 35 bits, so nothing overflows.
    position += nrBytes;
    if (position > end) {
      throw damaged("record ends after its segment: length", nrBytes);
    }
  }

  private int u1() {
    int value = dump.get(JAVA_BYTE, position) & 0xff;
    skip(1);
    return value;
  }

  private int u2() {
    int value = dump.get(SHORT, position) & 0xffff;
    skip(2);
    return value;
  }

  private int i4() {
    int value = dump.get(INT, position);
    skip(4);
    return value;
  }

  private long u4() {
    return Integer.toUnsignedLong(i4());
  }

  private long i8() {
    long value = dump.get(LONG, position);
    skip(8);
    return value;
  }

  private HeapDumpException damaged(String what, long value) {
    return new HeapDumpException(
        String.format(Locale.ROOT, "heap dump damaged: %s=%d offset=%d", what, value, position));
  }
}
