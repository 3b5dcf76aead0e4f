package io.memcg4j.memcg;

import java.util.ArrayList;
import java.util.List;

/** The handles of one group that were reset. */
final class PeakMarks {
  private final List<PeakHandle> handles = new ArrayList<>();

  synchronized void reset(PeakHandle handle, PageCounter counter) {
    long before = counter.restartLocalPeak();
    for (PeakHandle other : handles) {
      if (other != handle) {
        other.raise(before);
      }
    }
    if (!handles.contains(handle)) {
      handles.add(handle);
    }
    handle.save(counter.usage());
  }

  synchronized void remove(PeakHandle handle) {
    handles.remove(handle);
  }
}
