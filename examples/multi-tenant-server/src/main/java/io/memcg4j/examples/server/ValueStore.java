package io.memcg4j.examples.server;

import io.memcg4j.memcg.Charge;
import io.memcg4j.memcg.ChargeMode;
import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryClass;
import io.memcg4j.memcg.MemoryLimitException;
import io.memcg4j.slab.Kmalloc;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;

/**
 * The values of one tenant. Any thread; a value that a reader has found stays readable until the
 * reader lets go, however often it is replaced meanwhile.
 */
final class ValueStore implements AutoCloseable {
  /*
   * Invariant  a value that is allocated is in values, or in held: being received, or out of values but
   *            being read. So the leak scan finds each of them in the Java heap; for the moment between
   *            the two, in put, its rules for local variables do. index is charged with entryBytes for each key in values, and for keys on
   *            their way in or out.
   * Locks      none but those of the maps.
   */

  /** Values of so many bytes and more are areas: they have guard pages, and need no free chunks. */
  static final int AREA_BYTES = 128 << 10;

  /** What an entry takes on the Java heap beside the characters of its key. */
  private static final int ENTRY_BYTES = 160;

  private final Kmalloc kmalloc;
  private final MemCgroup group;
  private final Charge index;
  private final LongConsumer onTakenOut;
  private final ConcurrentHashMap<String, Value> values = new ConcurrentHashMap<>();
  private final Set<Value> held = ConcurrentHashMap.newKeySet();
  private final AtomicLong nextVersion = new AtomicLong();

  /**
   * An empty store.
   *
   * @param kmalloc where values live
   * @param group pays for the index
   * @param onTakenOut is told the version of each value that can be found no more
   */
  ValueStore(Kmalloc kmalloc, MemCgroup group, LongConsumer onTakenOut) {
    this.kmalloc = kmalloc;
    this.group = group;
    this.onTakenOut = onTakenOut;
    this.index = group.charge("index", MemoryClass.HEAP);
  }

  /**
   * Memory for a value that is still to be received; to be {@linkplain #put put} or {@linkplain
   * #release released}. The calling thread's scope pays.
   *
   * @throws MemoryLimitException if a limit refuses
   */
  Value allocate(int nrBytes) {
    boolean inArea = nrBytes >= AREA_BYTES;
    long address = inArea ? kmalloc.vmalloc().allocate(nrBytes) : kmalloc.allocate(nrBytes);
    Value value = new Value(address, nrBytes, inArea, nextVersion.incrementAndGet());
    held.add(value);
    return value;
  }

  /**
   * Makes a value findable in the place of an older one.
   *
   * @return whether the key is new
   * @throws MemoryLimitException if a limit refuses the entry of the index; the caller still has
   *     the value
   */
  boolean put(String key, Value value) {
    MemCgroup refusing = index.add(entryBytes(key), ChargeMode.RETRY_MAYFAIL);
    if (refusing != null) {
      throw group.refusal(refusing, entryBytes(key));
    }
    held.remove(value); // first: from the next line on somebody may take it out, and add it again
    Value old = values.put(key, value);
    if (old != null) {
      takenOut(key, old);
    }
    return old == null;
  }

  /** Finds a value and holds it; to be released. */
  @Nullable Value get(String key) {
    while (true) {
      Value value = values.get(key);
      if (value == null || value.tryRetain()) {
        return value; // one that is gone has left the map before: look again
      }
    }
  }

  /** The value that a key has now, not held: for comparison only. */
  boolean isCurrent(String key, Value value) {
    return values.get(key) == value;
  }

  /** Takes a value out. */
  boolean remove(String key) {
    Value old = values.remove(key);
    if (old != null) {
      takenOut(key, old);
    }
    return old != null;
  }

  /** Takes all values out that are in when it begins. */
  void clear() {
    values.keySet().forEach(this::remove);
  }

  private void takenOut(String key, Value old) {
    index.add(-entryBytes(key), ChargeMode.RETRY_MAYFAIL);
    held.add(old);
    release(old);
    onTakenOut.accept(old.version());
  }

  /** Lets go of a value; frees it if nobody else holds it. */
  void release(Value value) {
    if (!value.release()) {
      return;
    }
    if (value.isInArea()) {
      kmalloc.vmalloc().free(value.address());
    } else {
      kmalloc.free(value.address());
    }
    held.remove(value);
  }

  private static long entryBytes(String key) {
    return ENTRY_BYTES + 2L * key.length();
  }

  int nrValues() {
    return values.size();
  }

  /** Values that are allocated, and not to be found: being received, or still being read. */
  int nrHeld() {
    return held.size();
  }

  /** Frees everything. To be called when no request is at work in the store. */
  @Override
  public void close() {
    clear();
    index.close();
  }
}
