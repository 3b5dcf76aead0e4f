package io.memcg4j.benchmarks;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/** Allocators of C: the cases in a C program that is linked with each, where that is possible. */
final class NativePeers implements AutoCloseable {
  static final String PROGRAM = "allocators";

  /** What each is linked with, tried in order: packages differ. */
  private static final Map<String, List<List<String>>> LIBRARIES =
      Map.of(
          "glibc", List.of(List.of()),
          "jemalloc", List.of(List.of("-ljemalloc")),
          "mimalloc", List.of(List.of("-lmimalloc")),
          "tcmalloc", List.of(List.of("-ltcmalloc"), List.of("-ltcmalloc_minimal")));

  static final List<String> ALLOCATORS = LIBRARIES.keySet().stream().sorted().toList();

  private static final String PREFIX = "c-";

  private final Map<String, NativeProgram> programs = new HashMap<>();

  /** Compiles it; says why that is not possible, else "". */
  String whyNot(PeerSubject subject) throws IOException, InterruptedException {
    String allocator = subject.name().substring(PREFIX.length());
    String reason = "";
    for (List<String> libraries : LIBRARIES.getOrDefault(allocator, List.of())) {
      try {
        programs.put(
            subject.name(),
            NativeProgram.compile(
                PROGRAM,
                Stream.concat(Stream.of("-Wl,--no-as-needed"), libraries.stream()).toList()));
        run(subject.name(), List.of("pairs/64"), 1, PeersPlan.TINY);
        return "";
      } catch (IOException | IllegalStateException e) {
        reason = reason.isEmpty() ? String.valueOf(e.getMessage()) : reason;
      }
    }
    return reason;
  }

  /** The cases of a subject that {@link #whyNot} had nothing against. */
  Map<String, Double> run(String subject, List<String> cases, int maxRounds, PeersPlan plan)
      throws IOException, InterruptedException {
    NativeProgram program = programs.get(subject);
    if (program == null) {
      throw new IllegalStateException("not compiled: name=" + subject);
    }
    for (String caseName : cases) {
      if (PeerCase.of(caseName) == PeerCase.REPLAY) {
        writeTrace(program.folder(), PeerCase.variant(caseName));
      }
    }
    return program.run(
        Map.of(),
        List.of(
            subject.substring(PREFIX.length()),
            String.join(",", cases),
            Integer.toString(maxRounds),
            Long.toString(plan.warmupNanos(true) / 1_000_000),
            Long.toString(plan.warmupNanos(false) / 1_000_000),
            Long.toString(plan.measureNanos() / 1_000_000),
            Integer.toString(plan.nrObjects()),
            Integer.toString(plan.nrBatches()),
            program.folder().toString()));
  }

  /** The form that the program reads: two numbers, then words, then sizes. */
  private static void writeTrace(Path folder, String name) throws IOException {
    Path file = folder.resolve(name);
    if (Files.exists(file)) {
      return;
    }
    Trace trace = PeersFork.trace(name);
    int nrEvents = trace.nrEvents();
    ByteBuffer bytes =
        ByteBuffer.allocate(2 * Integer.BYTES + nrEvents * (Integer.BYTES + Long.BYTES))
            .order(ByteOrder.nativeOrder());
    bytes.putInt(nrEvents).putInt(trace.nrIds());
    for (int word : trace.words()) {
      bytes.putInt(word);
    }
    for (long size : trace.sizes()) {
      bytes.putLong(size);
    }
    Files.write(file, bytes.array());
  }

  @Override
  public void close() throws IOException {
    for (NativeProgram program : programs.values()) {
      program.close();
    }
    programs.clear();
  }
}
