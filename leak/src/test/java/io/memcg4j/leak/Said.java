package io.memcg4j.leak;

import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** What a test says of blocks, by address. */
final class Said implements Marker.Specials {
  final TreeMap<Long, Attributes> attributes = new TreeMap<>();

  @Override
  public @Nullable Attributes of(long address) {
    return attributes.get(address);
  }

  @Override
  public void forEach(Each each) {
    attributes.forEach(each::accept);
  }

  @Override
  public boolean isEmpty() {
    return attributes.isEmpty();
  }
}
