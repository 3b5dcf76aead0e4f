package io.memcg4j.objcg;

import org.jspecify.annotations.Nullable;

/**
 * The scopes that were opened for a task, one for each tree. Confined to the thread that opened
 * them.
 *
 * <p>Made for frameworks, which open and close them on behalf of code that they do not know:
 * closing also closes what that code left open inside, and a scope that encloses this one may be
 * closed first and takes it along. Neither throws.
 */
public final class TaskScope implements AutoCloseable {
  private final @Nullable Scope[] scopes;
  private int nrScopes;

  TaskScope(int maxScopes) {
    this.scopes = new @Nullable Scope[maxScopes];
  }

  void add(Scope scope) {
    scopes[nrScopes++] = scope.closedByOuter();
  }

  /**
   * Whether the thread is still where this took it: all scopes are open, and none is open inside.
   *
   * @return true also if there are no scopes
   */
  public boolean isInnermost() {
    for (int i = 0; i < nrScopes; i++) {
      Scope scope = scopes[i];
      if (scope != null && !scope.isInnermost()) {
        return false;
      }
    }
    return true;
  }

  /**
   * Whether any scope is still open.
   *
   * @return false after {@link #close}, after enclosing scopes were closed, and if there were none
   */
  public boolean isOpen() {
    for (int i = 0; i < nrScopes; i++) {
      Scope scope = scopes[i];
      if (scope != null && scope.isOpen()) {
        return true;
      }
    }
    return false;
  }

  /**
   * Closes the scopes and whatever is open inside them. A second time does nothing.
   *
   * @throws IllegalStateException if called by another thread while they are open
   */
  @Override
  public void close() {
    while (nrScopes > 0) {
      Scope scope = scopes[nrScopes - 1];
      if (scope != null) {
        scope.unwind();
      }
      nrScopes--;
    }
  }
}
