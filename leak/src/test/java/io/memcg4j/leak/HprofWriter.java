package io.memcg4j.leak;

import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;

/** Writes small heap dumps, in any order of records. */
final class HprofWriter {
  static final int LONG = 11;
  static final int OBJECT = 2;
  static final int INT = 10;
  static final int BYTE = 8;

  /** A field: its type and its value. */
  record Field(int type, long value) {}

  private interface Body {
    void write(DataOutputStream out) throws IOException;
  }

  private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
  private ByteArrayOutputStream segment = new ByteArrayOutputStream();

  HprofWriter() {
    append(
        bytes,
        out -> {
          out.write("JAVA PROFILE 1.0.2\0".getBytes(StandardCharsets.US_ASCII));
          out.writeInt(8);
          out.writeLong(0);
        });
  }

  private static void append(ByteArrayOutputStream to, Body body) {
    try (DataOutputStream out = new DataOutputStream(to)) {
      body.write(out);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private HprofWriter record(int tag, byte[] content) {
    append(
        bytes,
        out -> {
          out.write(tag);
          out.writeInt(0);
          out.writeInt(content.length);
          out.write(content);
        });
    return this;
  }

  private static byte[] content(Body body) {
    ByteArrayOutputStream to = new ByteArrayOutputStream();
    append(to, body);
    return to.toByteArray();
  }

  HprofWriter className(long classId, String name) {
    long nameId = classId + 1;
    record(
        0x01,
        content(out -> {
          out.writeLong(nameId);
          out.write(name.getBytes(StandardCharsets.UTF_8));
        }));
    return record(
        0x02,
        content(out -> {
          out.writeInt(1);
          out.writeLong(classId);
          out.writeInt(0);
          out.writeLong(nameId);
        }));
  }

  HprofWriter root(long id) {
    append(
        segment,
        out -> {
          out.write(0xff);
          out.writeLong(id);
        });
    return this;
  }

  HprofWriter classDump(long id, long superId, Field[] statics, int... fieldTypes) {
    append(
        segment,
        out -> {
          out.write(0x20);
          out.writeLong(id);
          out.writeInt(0);
          out.writeLong(superId);
          for (int i = 0; i < 5; i++) {
            out.writeLong(0);
          }
          out.writeInt(0);
          out.writeShort(0);
          out.writeShort(statics.length);
          for (Field field : statics) {
            out.writeLong(0);
            out.write(field.type);
            write(out, field);
          }
          out.writeShort(fieldTypes.length);
          for (int type : fieldTypes) {
            out.writeLong(0);
            out.write(type);
          }
        });
    return this;
  }

  private static void write(DataOutputStream out, Field field) throws IOException {
    switch (field.type) {
      case LONG, OBJECT -> out.writeLong(field.value);
      case INT -> out.writeInt((int) field.value);
      case BYTE -> out.write((int) field.value);
      default -> throw new IllegalArgumentException("type=" + field.type);
    }
  }

  HprofWriter instance(long id, long classId, Field... fields) {
    byte[] values =
        content(out -> {
          for (Field field : fields) {
            write(out, field);
          }
        });
    append(
        segment,
        out -> {
          out.write(0x21);
          out.writeLong(id);
          out.writeInt(0);
          out.writeLong(classId);
          out.writeInt(values.length);
          out.write(values);
        });
    return this;
  }

  HprofWriter longs(long id, long... values) {
    append(
        segment,
        out -> {
          out.write(0x23);
          out.writeLong(id);
          out.writeInt(0);
          out.writeInt(values.length);
          out.write(LONG);
          for (long value : values) {
            out.writeLong(value);
          }
        });
    return this;
  }

  HprofWriter bytes(long id, int length) {
    append(
        segment,
        out -> {
          out.write(0x23);
          out.writeLong(id);
          out.writeInt(0);
          out.writeInt(length);
          out.write(BYTE);
          out.write(new byte[length]);
        });
    return this;
  }

  HprofWriter objects(long id, long... ids) {
    append(
        segment,
        out -> {
          out.write(0x22);
          out.writeLong(id);
          out.writeInt(0);
          out.writeInt(ids.length);
          out.writeLong(0);
          for (long element : ids) {
            out.writeLong(element);
          }
        });
    return this;
  }

  /** Puts what was written of the heap since the last call into a segment of its own. */
  HprofWriter endSegment() {
    byte[] content = segment.toByteArray();
    segment = new ByteArrayOutputStream();
    return record(0x1c, content);
  }

  byte[] toBytes() {
    if (segment.size() > 0) {
      endSegment();
    }
    record(0x2c, new byte[0]);
    return bytes.toByteArray();
  }

  MemorySegment toSegment() {
    return MemorySegment.ofArray(toBytes());
  }
}
