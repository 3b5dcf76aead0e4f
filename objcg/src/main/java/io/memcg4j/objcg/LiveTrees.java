package io.memcg4j.objcg;

import java.lang.ref.WeakReference;
import java.util.Arrays;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Stream;

/**
 * The trees of this JVM whose scopes a thread may be in, for those who carry a thread's groups to
 * another one and know no tree. Weak: a tree that nobody uses goes, and a process has one or two.
 */
final class LiveTrees {
  /** One tree, null when it was collected. */
  static final class Tree extends WeakReference<ObjCgroups> {
    private Tree(ObjCgroups tree) {
      super(tree);
    }
  }

  // Copied to be changed, so that readers walk an array that stays as it is.
  private static final AtomicReference<Tree[]> TREES = new AtomicReference<>(new Tree[0]);

  private LiveTrees() {}

  static void add(ObjCgroups tree) {
    Tree added = new Tree(tree);
    TREES.updateAndGet(trees ->
        Stream.concat(
                Arrays.stream(trees).filter(known -> Objects.nonNull(known.get())),
                Stream.of(added))
            .toArray(Tree[]::new));
  }

  /** Not to be written to. */
  static Tree[] all() {
    return TREES.getPlain();
  }
}
