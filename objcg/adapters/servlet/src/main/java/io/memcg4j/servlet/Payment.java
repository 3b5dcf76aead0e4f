package io.memcg4j.servlet;

import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import java.io.IOException;

/**
 * Who pays for a request, on whatever thread of the container parts of it run.
 *
 * @param payer the handle that is entered around each part
 * @param onRefusal what becomes of a part that is refused memory
 */
record Payment(ObjCgroup payer, Refusal onRefusal) {
  /** What a listener does. */
  interface Part {
    void run() throws IOException;
  }

  /** Runs a part in the group, and closes what it leaves open. */
  void run(Part part) throws IOException {
    Scope scope = payer.enter();
    try {
      part.run();
    } finally {
      scope.unwind();
    }
  }

  /** As {@link #run}, for what throws no checked exceptions. */
  void runTask(Runnable task) {
    Scope scope = payer.enter();
    try {
      task.run();
    } finally {
      scope.unwind();
    }
  }
}
