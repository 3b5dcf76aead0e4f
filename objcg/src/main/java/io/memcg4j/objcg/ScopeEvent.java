package io.memcg4j.objcg;

import jdk.jfr.Category;
import jdk.jfr.Contextual;
import jdk.jfr.Description;
import jdk.jfr.Enabled;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;
import org.jspecify.annotations.Nullable;

/**
 * A scope, for recordings of the JVM: tools show whose it is beside everything else that the thread
 * did meanwhile. Off unless a recording asks for it, as there is one for each scope.
 */
final class ScopeEvent {
  /** Never committed: the JVM compiles the look at it to a constant. */
  private static final Span ANY = new Span();

  private final Span span;

  private ScopeEvent(Span span) {
    this.span = span;
  }

  @Name("memcg4j.Scope")
  @Label("Scope")
  @Description("The time in which a thread's allocations are charged to a group")
  @Category("memcg4j")
  @Enabled(false)
  @StackTrace(false)
  static final class Span extends Event {
    @Contextual
    @Label("Control Group")
    String cgroup = "";
  }

  /** Null unless a recording wants it. */
  static @Nullable ScopeEvent begun() {
    if (!ANY.isEnabled()) {
      return null;
    }
    Span span = new Span();
    span.begin();
    return new ScopeEvent(span);
  }

  void end(ObjCgroup payer) {
    span.end();
    if (span.shouldCommit()) {
      span.cgroup = payer.group().path();
      span.commit();
    }
  }
}
