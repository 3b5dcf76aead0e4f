package io.memcg4j.benchmarks;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.function.Supplier;

/**
 * Who is compared.
 *
 * @param name as on the command line
 * @param family whose it is, for the pages
 * @param options of the JVM that it runs in
 * @param cases what it can be asked for
 * @param maker makes it, in that JVM; not for {@link #isNative}
 */
record PeerSubject(
    String name, Family family, List<String> options, Set<PeerCase> cases, Supplier<Peer> maker) {
  /** Subjects of one maker. */
  enum Family {
    MEMCG4J,
    NETTY,
    ARROW,
    JDK,
    /** An allocator of C called from Java. */
    FROM_JAVA,
    /** The same loops in a C program. */
    C
  }

  static final String OURS = "memcg4j";

  /** Loops wait for the compilers, which on a busy machine would else be behind. */
  private static final String COMPILE_AT_ONCE = "-XX:-BackgroundCompilation";

  private static final String LWJGL = "lwjgl-jemalloc";
  private static final String ALLOW_UNSAFE = "--sun-misc-unsafe-memory-access=allow";
  private static final Set<PeerCase> ALL = EnumSet.allOf(PeerCase.class);
  private static final Set<PeerCase> ALL_BUT_LIMIT =
      EnumSet.complementOf(EnumSet.of(PeerCase.LIMIT));

  /** Of variants with checks on: what shows the price of the checks. */
  private static final Set<PeerCase> CHECKED =
      EnumSet.of(PeerCase.PAIRS, PeerCase.HELD, PeerCase.RANDOM, PeerCase.HANDOFF);

  private static final Set<PeerCase> NO_TRACES =
      EnumSet.complementOf(EnumSet.of(PeerCase.LIMIT, PeerCase.REPLAY));
  private static final Set<PeerCase> C_CASES =
      EnumSet.complementOf(EnumSet.of(PeerCase.LIMIT, PeerCase.VTHREADS));

  static final List<PeerSubject> KNOWN = all();

  private static List<PeerSubject> all() {
    List<PeerSubject> all = new ArrayList<>();
    all.add(ours(OURS, ALL, MemcgPeer.Mode.ACCOUNTED));
    all.add(ours("memcg4j-off", ALL_BUT_LIMIT, MemcgPeer.Mode.OFF));
    all.add(ours("memcg4j-leaks", NO_TRACES, MemcgPeer.Mode.LEAKS));
    all.add(ours("memcg4j-debug", CHECKED, MemcgPeer.Mode.DEBUG));
    for (boolean adaptive : new boolean[] {true, false}) {
      for (String level : List.of("disabled", "simple", "paranoid")) {
        all.add(netty(adaptive, level));
      }
    }
    for (boolean children : new boolean[] {false, true}) {
      for (boolean debug : new boolean[] {false, true}) {
        all.add(arrow(children, debug));
      }
    }
    Set<PeerCase> onItsThread = EnumSet.copyOf(NO_TRACES);
    onItsThread.remove(PeerCase.HANDOFF);
    all.add(jdk("arena-confined", onItsThread, JdkPeer.Kind.CONFINED));
    all.add(jdk("arena-shared", CHECKED, JdkPeer.Kind.SHARED));
    all.add(jdk("arena-auto", NO_TRACES, JdkPeer.Kind.AUTO));
    all.add(jdk("direct-buffer", NO_TRACES, JdkPeer.Kind.DIRECT_BUFFER));
    all.add(fromJava("ffm-malloc", false));
    all.add(fromJava(LWJGL, true));
    for (String allocator : NativePeers.ALLOCATORS) {
      all.add(
          new PeerSubject(
              "c-" + allocator,
              Family.C,
              List.of(),
              C_CASES,
              () -> {
                throw new IllegalStateException("a C program: name=" + allocator);
              }));
    }
    return List.copyOf(all);
  }

  private static PeerSubject ours(String name, Set<PeerCase> cases, MemcgPeer.Mode mode) {
    return new PeerSubject(name, Family.MEMCG4J, List.of(), cases, () -> new MemcgPeer(mode));
  }

  private static PeerSubject netty(boolean adaptive, String level) {
    return new PeerSubject(
        "netty-" + (adaptive ? "adaptive-" : "pooled-") + level,
        Family.NETTY,
        List.of(ALLOW_UNSAFE, "-D" + NettyPeer.LEVEL_PROPERTY + "=" + level),
        level.equals("disabled") ? ALL_BUT_LIMIT : CHECKED,
        () -> new NettyPeer(adaptive));
  }

  private static PeerSubject arrow(boolean children, boolean debug) {
    String name = children ? "arrow-child" : "arrow-root";
    return new PeerSubject(
        debug ? name + "-debug" : name,
        Family.ARROW,
        List.of(ALLOW_UNSAFE, "-D" + ArrowPeer.DEBUG_PROPERTY + "=" + debug),
        debug ? CHECKED : children ? with(NO_TRACES, PeerCase.LIMIT) : NO_TRACES,
        () -> new ArrowPeer(children));
  }

  private static Set<PeerCase> with(Set<PeerCase> cases, PeerCase another) {
    Set<PeerCase> more = EnumSet.copyOf(cases);
    more.add(another);
    return more;
  }

  private static PeerSubject jdk(String name, Set<PeerCase> cases, JdkPeer.Kind kind) {
    return new PeerSubject(name, Family.JDK, List.of(), cases, () -> new JdkPeer(kind));
  }

  private static PeerSubject fromJava(String name, boolean jemalloc) {
    return new PeerSubject(
        name,
        Family.FROM_JAVA,
        List.of(ALLOW_UNSAFE),
        ALL_BUT_LIMIT,
        () -> new NativePeer(jemalloc));
  }

  /** The subject of a name. */
  static PeerSubject of(String name) {
    return KNOWN.stream()
        .filter(subject -> subject.name().equals(name))
        .findFirst()
        .orElseThrow(() -> new UsageError("no such subject: name=" + name + " known=" + names()));
  }

  static List<String> names() {
    return KNOWN.stream().map(PeerSubject::name).toList();
  }

  /** Why it cannot be had here, else "". */
  String whyNot() {
    return name.equals(LWJGL) ? NativePeer.whyNoJemalloc() : "";
  }

  /** What the JVM of a case is started with. */
  List<String> options(PeerCase kind) {
    List<String> all = new ArrayList<>(options);
    all.add(COMPILE_AT_ONCE);
    if (kind == PeerCase.MEMORY) {
      all.addAll(ResidentMemory.OPTIONS);
    }
    return all;
  }

  boolean isNative() {
    return family == Family.C;
  }
}
