package io.memcg4j.examples.server;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** JSON, of clients and for them. */
final class Json {
  private static final int MAX_DEPTH = 100;
  private static final int NODE_BYTES = 48;

  /** Strict, and bounded in what a short text can make of the heap. */
  private static final JsonMapper MAPPER =
      JsonMapper.builder(
              new com.fasterxml.jackson.core.JsonFactoryBuilder()
                  .streamReadConstraints(
                      StreamReadConstraints.builder()
                          .maxNestingDepth(MAX_DEPTH)
                          .maxNumberLength(100)
                          .maxNameLength(1000)
                          .build())
                  .build())
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .build();

  private Json() {}

  /**
   * Reads all of a text without keeping any of it.
   *
   * @throws ClientError if it is not JSON
   */
  static void check(MemorySegment text) {
    try (JsonParser parser = MAPPER.createParser(stream(text))) {
      if (parser.nextToken() == null) {
        throw new ClientError(400, "not JSON: empty");
      }
      parser.skipChildren();
      if (parser.nextToken() != null) {
        throw new ClientError(400, "not JSON: more than one value");
      }
    } catch (JsonProcessingException e) {
      throw new ClientError(
          400,
          "not JSON: "
              + e.getOriginalMessage()
              + (e.getLocation() == null
                  ? ""
                  : " line="
                      + e.getLocation().getLineNr()
                      + " column="
                      + e.getLocation().getColumnNr()));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Reads a text that was {@linkplain #check checked}. */
  static JsonNode decode(MemorySegment text) {
    try (InputStream in = stream(text)) {
      return MAPPER.readTree(in);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static byte[] encode(Object value) {
    try {
      return MAPPER.writeValueAsBytes(value);
    } catch (JsonProcessingException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** About what a document takes on the Java heap. */
  static int heapBytes(JsonNode node) {
    long nrBytes = NODE_BYTES;
    if (node.isTextual()) {
      nrBytes += 2L * node.textValue().length();
    } else if (node.isObject()) {
      for (var property : node.properties()) {
        nrBytes += 2L * NODE_BYTES + property.getKey().length() + heapBytes(property.getValue());
      }
    } else {
      for (JsonNode element : node) {
        nrBytes += Long.BYTES + heapBytes(element);
      }
    }
    return (int) Math.min(nrBytes, Integer.MAX_VALUE);
  }

  private static InputStream stream(MemorySegment text) {
    return new InputStream() {
      private long at;

      @Override
      public int read() {
        return at == text.byteSize() ? -1 : text.get(ValueLayout.JAVA_BYTE, at++) & 0xff;
      }

      @Override
      public int read(byte[] into, int offset, int length) {
        int nrBytes = (int) Math.min(length, text.byteSize() - at);
        if (nrBytes == 0) {
          return length == 0 ? 0 : -1;
        }
        MemorySegment.copy(text, ValueLayout.JAVA_BYTE, at, into, offset, nrBytes);
        at += nrBytes;
        return nrBytes;
      }
    };
  }
}
