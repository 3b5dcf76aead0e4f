package io.memcg4j.slab;

import java.lang.StackWalker.StackFrame;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.concurrent.atomic.LongAdder;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * Call stacks, each kept once and named by an int: what a side array of a slab can hold for an
 * object. For the floor above and for this floor's own tracking.
 *
 * <p>Bounded in traces and in frames of each. When it is full, what is new gets {@link #FULL} and
 * is counted; what is known is still found. Traces are never dropped, so a handle is good for the
 * life of the depot. It holds names and no classes, so it keeps no class loader alive.
 *
 * <p>Any thread. A trace that is known is found without a lock.
 */
public final class StackDepot {
  /*
   * Layout     table[hash] heads a chain of traces; traces[handle] is the trace.
   * Invariant  two traces differ in a class name, a method name or a byte code index. A class that two
   *            loaders define under one name counts as one.
   * Ordering   a trace is immutable; it is stored in traces before table, both volatile, so who finds
   *            it in the table may use its handle; nrTraces after both, so who sees it at its bound
   *            sees every trace. Who reads a handle by a race asks again under lock.
   * Locks      lock: to add a trace. Nothing is called with it held, so legal under any lock.
   * Not        which of two new traces gets the last place.
   * guaranteed
   * Origin     the idea of Linux lib/stackdepot.c.
   */

  /** The handle of nothing: no trace was taken. */
  public static final int NONE = 0;

  /** The handle of all traces that found no place. */
  public static final int FULL = 1;

  /** Traces kept by {@link #create()}: {@value}. */
  public static final int DEFAULT_MAX_TRACES = 1 << 14;

  /** Frames kept of each trace by {@link #create()}: {@value}, the innermost ones. */
  public static final int DEFAULT_MAX_FRAMES = 16;

  /** The most traces that a depot can be asked to keep: {@value}. */
  public static final int LIMIT_TRACES = 1 << 22;

  /** The most frames of a trace that a depot can be asked to keep: {@value}. */
  public static final int LIMIT_FRAMES = 256;

  private static final int FIRST = 2;

  private final int maxTraces;
  private final int maxFrames;
  private final StackWalker walker;
  private final AtomicReferenceArray<@Nullable Trace> table;
  private final AtomicReferenceArray<@Nullable Trace> traces;
  private final ReentrantLock lock = new ReentrantLock();
  private final LongAdder nrRefused = new LongAdder();
  private volatile int nrTraces;
  private long nrFrames;

  private StackDepot(int maxTraces, int maxFrames) {
    this.maxTraces = maxTraces;
    this.maxFrames = maxFrames;
    // The estimate saves the walker a second batch of frames.
    walker = StackWalker.getInstance(Set.of(), maxFrames + 2);
    table = new AtomicReferenceArray<>(Integer.highestOneBit(maxTraces) << 1);
    traces = new AtomicReferenceArray<>(maxTraces + FIRST);
  }

  /**
   * A depot of the default bounds.
   *
   * @return a depot without traces
   */
  public static StackDepot create() {
    return create(DEFAULT_MAX_TRACES, DEFAULT_MAX_FRAMES);
  }

  /**
   * A depot.
   *
   * @param maxTraces how many different traces it keeps, in {@code 1..}{@link #LIMIT_TRACES}
   * @param maxFrames how many frames of each, the innermost ones, in {@code 1..}{@link
   *     #LIMIT_FRAMES}
   * @return a depot without traces
   * @throws IllegalArgumentException if a bound is out of its range
   */
  public static StackDepot create(int maxTraces, int maxFrames) {
    checkBound("maxTraces", maxTraces, LIMIT_TRACES);
    checkBound("maxFrames", maxFrames, LIMIT_FRAMES);
    return new StackDepot(maxTraces, maxFrames);
  }

  private static void checkBound(String name, int value, int max) {
    if (value < 1 || value > max) {
      throw new IllegalArgumentException(
          String.format(Locale.ROOT, "bound out of range: %s=%d legal=1..%d", name, value, max));
    }
  }

  /**
   * The handle of the caller's stack. Some microseconds, so for samples and tests.
   *
   * @param skipFrames innermost frames to leave out, 0 or more: with 0 the first frame is the
   *     caller of this method
   * @return a handle of at least {@link #FULL}; {@link #NONE} if nothing is left
   * @throws IllegalArgumentException if {@code skipFrames} is negative
   */
  public int capture(int skipFrames) {
    if (skipFrames < 0) {
      throw new IllegalArgumentException(
          "bad number of frames: skipFrames=" + skipFrames + " legal=0..");
    }
    return intern(
        walker.walk(all -> all.skip(skipFrames + 1L).limit(maxFrames).toArray(StackFrame[]::new)));
  }

  /**
   * As {@link #capture(int)}, without the innermost frames that are of certain classes.
   *
   * @param leading names of top-level classes whose frames, and those of classes in them, are left
   *     out up to the first of another class
   * @return a handle of at least {@link #FULL}; {@link #NONE} if nothing is left
   */
  public int capture(Set<String> leading) {
    return intern(
        walker.walk(all ->
            all.skip(1)
                .dropWhile(frame -> leading.contains(outermost(frame.getClassName())))
                .limit(maxFrames)
                .toArray(StackFrame[]::new)));
  }

  private static String outermost(String className) {
    int dollar = className.indexOf('$');
    return dollar < 0 ? className : className.substring(0, dollar);
  }

  private int intern(StackFrame[] frames) {
    if (frames.length == 0) {
      return NONE;
    }
    int hash = hash(frames);
    int index = hash & (table.length() - 1);
    Trace head = table.get(index);
    Trace known = find(head, hash, frames);
    return known != null ? known.handle : add(frames, hash, index);
  }

  private static int hash(StackFrame[] frames) {
    int hash = frames.length;
    for (StackFrame frame : frames) {
      hash = hash * 31 + frame.getClassName().hashCode();
      hash = hash * 31 + frame.getMethodName().hashCode();
      hash = hash * 31 + frame.getByteCodeIndex();
    }
    return hash ^ (hash >>> 15);
  }

  private static @Nullable Trace find(@Nullable Trace head, int hash, StackFrame[] frames) {
    for (Trace trace = head; trace != null; trace = trace.next) {
      if (trace.hash == hash && trace.isOf(frames)) {
        return trace;
      }
    }
    return null;
  }

  private int add(StackFrame[] frames, int hash, int index) {
    if (nrTraces == maxTraces) {
      // Full, so the table is complete: another thread may have added this one meanwhile.
      Trace late = find(table.get(index), hash, frames);
      if (late != null) {
        return late.handle;
      }
      nrRefused.increment();
      return FULL;
    }
    StackTraceElement[] elements = new StackTraceElement[frames.length];
    int[] codeIndexes = new int[frames.length];
    for (int i = 0; i < frames.length; i++) {
      elements[i] = frames[i].toStackTraceElement();
      codeIndexes[i] = frames[i].getByteCodeIndex();
    }
    lock.lock();
    try {
      Trace head = table.get(index);
      Trace known = find(head, hash, frames);
      if (known != null) {
        return known.handle;
      }
      if (nrTraces == maxTraces) {
        nrRefused.increment();
        return FULL;
      }
      int handle = nrTraces + FIRST;
      Trace trace = new Trace(handle, hash, elements, codeIndexes, head);
      traces.set(handle, trace);
      table.set(index, trace);
      nrFrames += frames.length;
      nrTraces = handle - FIRST + 1;
      return handle;
    } finally {
      lock.unlock();
    }
  }

  /**
   * The frames of a trace, innermost first.
   *
   * @param handle what {@link #capture} returned
   * @return the frames, immutable; empty for {@link #NONE} and {@link #FULL}
   * @throws IllegalArgumentException if this depot gave out no such handle
   */
  public List<StackTraceElement> frames(int handle) {
    if (handle == NONE || handle == FULL) {
      return List.of();
    }
    return List.of(trace(handle).elements);
  }

  /**
   * The innermost frame that is not of certain packages or classes: the call site as its author
   * knows it.
   *
   * @param handle what {@link #capture} returned
   * @param prefixes beginnings of class names to pass over
   * @return the frame as in a stack trace; the outermost one kept if all are passed over; a text in
   *     brackets for {@link #NONE} and {@link #FULL}
   * @throws IllegalArgumentException if this depot gave out no such handle
   */
  public String firstFrameOutside(int handle, List<String> prefixes) {
    if (handle == NONE) {
      return "(no trace)";
    }
    if (handle == FULL) {
      return "(stack depot full)";
    }
    StackTraceElement[] elements = trace(handle).elements;
    for (StackTraceElement element : elements) {
      if (prefixes.stream().noneMatch(element.getClassName()::startsWith)) {
        return element.toString();
      }
    }
    return elements[elements.length - 1].toString();
  }

  private Trace trace(int handle) {
    Trace trace = null;
    if (handle >= FIRST && handle < maxTraces + FIRST) {
      trace = traces.get(handle);
      if (trace == null) {
        lock.lock();
        try {
          trace = traces.get(handle);
        } finally {
          lock.unlock();
        }
      }
    }
    if (trace == null) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT, "no such trace: handle=%d legal=0..%d", handle, nrTraces + FIRST - 1));
    }
    return trace;
  }

  /**
   * Different traces kept.
   *
   * @return at most {@link #maxTraces}
   */
  public int nrTraces() {
    return nrTraces;
  }

  /**
   * The bound of {@link #nrTraces}.
   *
   * @return traces
   */
  public int maxTraces() {
    return maxTraces;
  }

  /**
   * Frames kept, of all traces together.
   *
   * @return frames
   */
  public long nrFrames() {
    lock.lock();
    try {
      return nrFrames;
    } finally {
      lock.unlock();
    }
  }

  /**
   * How often {@link #FULL} was returned because there was no place.
   *
   * @return captures
   */
  public long nrRefused() {
    return nrRefused.sum();
  }

  private static final class Trace {
    final int handle;
    final int hash;
    final StackTraceElement[] elements;
    final int[] codeIndexes;
    final @Nullable Trace next;

    Trace(
        int handle,
        int hash,
        StackTraceElement[] elements,
        int[] codeIndexes,
        @Nullable Trace next) {
      this.handle = handle;
      this.hash = hash;
      this.elements = elements;
      this.codeIndexes = codeIndexes;
      this.next = next;
    }

    boolean isOf(StackFrame[] frames) {
      if (frames.length != elements.length) {
        return false;
      }
      for (int i = 0; i < frames.length; i++) {
        if (frames[i].getByteCodeIndex() != codeIndexes[i]
            || !frames[i].getMethodName().equals(elements[i].getMethodName())
            || !frames[i].getClassName().equals(elements[i].getClassName())) {
          return false;
        }
      }
      return true;
    }
  }
}
