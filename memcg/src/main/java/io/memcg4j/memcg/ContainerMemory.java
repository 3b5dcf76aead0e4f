package io.memcg4j.memcg;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * The memory limit of the container that this process runs in, and what of it is left for the root
 * group of a tree: the limit less the heap, less a reserve for all that the JVM needs besides.
 *
 * <p>Knows the cgroups of Linux, version 1 and 2, also nested and side by side. Where there are
 * none it is empty and says why, see {@link #absence}; then there is no limit. Swap is ignored.
 *
 * <p>To follow a limit that is changed while the process runs, watch first and ask then:
 *
 * <pre>{@code
 * ContainerMemory container = ContainerMemory.detect();
 * container.watch(Duration.ofSeconds(5), budget -> root.setMax(budget.rootMax()));
 * root.setMax(container.budget().rootMax());
 * }</pre>
 */
public final class ContainerMemory {
  /*
   * Layout     where the files are is looked up once; what they say is read at each call.
   * Invariant  nothing that fails to be read lifts a limit, see CgroupFiles.
   * Locks      none held while callbacks run; all watches share one daemon thread.
   * Not        that the process is not killed: the container's limit also counts what this library
   * guaranteed does not see. Watches are late by up to their period.
   * Origin     own; the variables are those of systemd's memory pressure protocol.
   */

  /** No limit. */
  public static final long UNLIMITED = MemCgroup.UNLIMITED;

  /** The reserve is never less by default: 64 MiB. */
  public static final long MIN_RESERVE = 64L << 20;

  private static final int RESERVE_DIVISOR = 20; // 5 %
  private static final long DEFAULT_RESERVE = -1;
  private static final long NEAR_PERIOD_NANOS = 1_000_000_000;
  private static final long MIN_PRESSURE_PERIOD_NANOS = 100_000_000;
  private static final String DEFAULT_PRESSURE = "some 200000 2000000"; // systemd's

  /**
   * How the limit of a container is shared out.
   *
   * @param containerLimit bytes; {@link #UNLIMITED} if there is none
   * @param heapMax the most that the heap may grow to
   * @param reserve for classes, compiled code, stacks of threads, and the collector
   * @param rootMax what is left, 0 if nothing is; {@link #UNLIMITED} if there is no limit
   */
  public record Budget(long containerLimit, long heapMax, long reserve, long rootMax) {
    static Budget of(long containerLimit, long heapMax, long reserve) {
      if (containerLimit == UNLIMITED) {
        return new Budget(UNLIMITED, heapMax, reserve, UNLIMITED);
      }
      long left = containerLimit - Math.min(heapMax, containerLimit);
      return new Budget(containerLimit, heapMax, reserve, left - Math.min(reserve, left));
    }

    /**
     * All figures in one line.
     *
     * @return {@code rootMax=... = containerLimit=... - heapMax=... - reserve=...}
     */
    @Override
    public String toString() {
      String sum =
          "rootMax="
              + text(rootMax)
              + " = containerLimit="
              + text(containerLimit)
              + " - heapMax="
              + text(heapMax)
              + " - reserve="
              + text(reserve);
      return rootMax > 0
          ? sum
          : sum + ": nothing is left; lower the heap (-Xmx) or raise the container's limit";
    }

    private static String text(long nrBytes) {
      return nrBytes == UNLIMITED
          ? "unlimited"
          : String.format(
              Locale.ROOT, "%d (%.1f MiB)", nrBytes, (double) nrBytes / (double) (1 << 20));
    }
  }

  /**
   * What a group of the operating system uses.
   *
   * @param group its folder
   * @param usedBytes all that is charged to it, file cache included
   * @param cacheBytes file cache that was not used lately, which the system gives up first; 0 if
   *     unknown
   * @param limitBytes its own limit; {@link #UNLIMITED} if there is none
   */
  public record Usage(String group, long usedBytes, long cacheBytes, long limitBytes) {
    /**
     * How near the wall is. The cache does not count: a container that reads files fills its limit
     * with it, and is in no danger.
     *
     * @return {@code (usedBytes - cacheBytes) / limitBytes}; 0 if there is no limit
     */
    public double fraction() {
      if (limitBytes == UNLIMITED) {
        return 0;
      }
      return (double) Math.max(0, usedBytes - cacheBytes) / (double) Math.max(1, limitBytes);
    }
  }

  private final ContainerHost host;
  private final CgroupFiles.Found found;
  private final ContainerPoller poller;
  private final long reserve; // or DEFAULT_RESERVE

  private ContainerMemory(
      ContainerHost host, CgroupFiles.Found found, ContainerPoller poller, long reserve) {
    this.host = host;
    this.found = found;
    this.poller = poller;
    this.reserve = reserve;
  }

  /**
   * Looks for the group of the operating system that this process is in.
   *
   * @return without files if there is none, see {@link #absence}
   */
  public static ContainerMemory detect() {
    return detect(ContainerHost.real());
  }

  static ContainerMemory detect(ContainerHost host) {
    return new ContainerMemory(
        host,
        CgroupFiles.find(host.root(), host.report()),
        new ContainerPoller(host.nanoTime(), host.threads()),
        DEFAULT_RESERVE);
  }

  /**
   * The same container with another reserve.
   *
   * @param nrBytes what the budget leaves to the JVM besides its heap; the default is 5 % of the
   *     limit, and at least {@link #MIN_RESERVE}
   * @return for new budgets and watches; this one is as before
   * @throws IllegalArgumentException if it is negative
   */
  public ContainerMemory withReserve(long nrBytes) {
    if (nrBytes < 0) {
      throw new IllegalArgumentException("reserve must not be negative: reserve=" + nrBytes);
    }
    return new ContainerMemory(host, found, poller, nrBytes);
  }

  // ---- figures

  /**
   * Why there is no memory controller to ask.
   *
   * @return empty if there is one
   */
  public Optional<String> absence() {
    return found.files() == null ? Optional.of(found.absence()) : Optional.empty();
  }

  /**
   * The lowest limit from the group of this process up to the root of the mount.
   *
   * @return bytes; {@link #UNLIMITED} if there is none
   */
  public long limit() {
    CgroupFiles files = found.files();
    return files == null ? UNLIMITED : files.limit();
  }

  /**
   * The lowest {@code memory.high}, from where on the system slows the container down.
   *
   * @return bytes; {@link #UNLIMITED} if there is none, and with version 1
   */
  public long high() {
    CgroupFiles files = found.files();
    return files == null ? UNLIMITED : files.high();
  }

  /**
   * What is used at the level that is nearest to its limit, which need not be that of this process.
   *
   * @return the own level if there is no limit; empty if it cannot be read
   */
  public Optional<Usage> usage() {
    CgroupFiles files = found.files();
    return files == null ? Optional.empty() : Optional.ofNullable(files.usage());
  }

  /**
   * How much the processes of the container wait for memory: {@code memory.pressure}.
   *
   * @return empty if the system does not say
   */
  public Optional<Pressure> pressure() {
    return Optional.ofNullable(found.pressure()).flatMap(ContainerMemory::readPressure);
  }

  /**
   * What could not be read at the last attempt and counts with its last known value.
   *
   * @return a line for each file
   */
  public List<String> problems() {
    CgroupFiles files = found.files();
    return files == null ? List.of() : files.problems();
  }

  /**
   * What is left for the root group, by the limit of this moment.
   *
   * @return a root max of 0 if nothing is left, which its text says
   */
  public Budget budget() {
    long limit = limit();
    long nrReserve = reserve;
    if (nrReserve == DEFAULT_RESERVE) {
      nrReserve = limit == UNLIMITED ? MIN_RESERVE : Math.max(MIN_RESERVE, limit / RESERVE_DIVISOR);
    }
    return Budget.of(limit, host.heapMax().getAsLong(), nrReserve);
  }

  /**
   * Memory of this process that neither the heap nor the tree knows about: resident set, less what
   * the heap has committed, less what the tree has charged. May be negative: committed and charged
   * memory need not be resident, pages that were never touched are not.
   *
   * @param trackedBytes the usage of the root group
   * @return empty if the system does not tell the resident set
   */
  public OptionalLong untrackedBytes(long trackedBytes) {
    try {
      for (String line : Files.readAllLines(host.root().resolve("proc/self/status"))) {
        if (line.startsWith("VmRSS:")) {
          String[] field = line.substring("VmRSS:".length()).strip().split("\\s+", -1);
          long residentBytes = Math.multiplyExact(Long.parseLong(field[0]), 1024L);
          return OptionalLong.of(residentBytes - Runtime.getRuntime().totalMemory() - trackedBytes);
        }
      }
    } catch (IOException | NumberFormatException | ArithmeticException e) {
      return OptionalLong.empty();
    }
    return OptionalLong.empty();
  }

  /**
   * What the service manager said about watching memory pressure.
   *
   * @return read anew from the variables that the process was started with
   */
  public PressureSource pressureSource() {
    return PressureSource.of(host.env(), host.root());
  }

  // ---- watches

  /**
   * Tells when the budget has changed. The first comparison is with the budget of this call. A file
   * that cannot be read counts with its last value and is logged once.
   *
   * @param period how often to look
   * @param onChange gets the new budget
   * @return to end it; without a thread if there is no memory controller
   * @throws IllegalArgumentException if the period is not positive
   */
  public ContainerWatch watch(Duration period, Consumer<Budget> onChange) {
    Consumer<Budget> told =
        new Consumer<>() {
          private Budget last = budget();

          @Override
          public void accept(Budget now) {
            if (!now.equals(last)) {
              last = now;
              onChange.accept(now);
            }
          }
        };
    return start(ContainerPoller.nanos(period), found.files(), () -> told.accept(budget()));
  }

  /**
   * Warns before the wall: tells once when {@link Usage#fraction} has come to a fraction of the
   * limit, and not again until it fell below. Looks once a second.
   *
   * @param fraction above 0, at most 1
   * @param onNear gets the usage
   * @return to end it; without a thread if there is no memory controller
   * @throws IllegalArgumentException if the fraction is out of range
   */
  public ContainerWatch onNearLimit(double fraction, Consumer<Usage> onNear) {
    if (!(fraction > 0 && fraction <= 1)) {
      throw new IllegalArgumentException(
          "fraction out of range: fraction=" + fraction + " legal=above 0, at most 1");
    }
    AtomicBoolean near = new AtomicBoolean();
    return start(
        NEAR_PERIOD_NANOS,
        found.files(),
        () -> {
          Usage usage = usage().orElse(null);
          if (usage != null) {
            boolean isNear = usage.fraction() >= fraction;
            if (isNear && !near.getAndSet(true)) {
              onNear.accept(usage);
            } else if (!isNear) {
              near.set(false);
            }
          }
        });
  }

  /**
   * Tells when processes of the container wait too much for memory. Which file and how much is what
   * the service manager said ({@link #pressureSource}); if it said nothing, the own group's {@code
   * memory.pressure}, and 200 ms within 2 s.
   *
   * <p>The kernel can report this by poll, which Java has no call for. So the file's total is read
   * ten times per window, at most ten times a second. A FIFO is looked at ten times a second, and
   * whatever is written into it means pressure.
   *
   * @param onPressure gets what the file says, at most once per window; for a FIFO, what the own
   *     group's {@code memory.pressure} says, at most once per look
   * @return empty if it is not to be watched, is none that can be read, or is a socket
   */
  public Optional<ContainerWatch> onPressure(Consumer<Pressure> onPressure) {
    PressureSource source = pressureSource();
    if (source.kind() == PressureSource.Kind.FIFO) {
      return watchFifo(host.root().resolve(source.path().substring(1)), onPressure);
    }
    Path file =
        switch (source.kind()) {
          case UNSET -> found.pressure();
          case PSI_FILE -> host.root().resolve(source.path().substring(1));
          case OFF, FIFO, SOCKET, INVALID -> null;
        };
    Pressure first = file == null ? null : readPressure(file).orElse(null);
    if (file == null || first == null) {
      return Optional.empty();
    }
    StallThreshold threshold;
    try {
      String text = source.write().replace("\0", "").strip();
      threshold = StallThreshold.parse(text.isEmpty() ? DEFAULT_PRESSURE : text);
    } catch (IllegalArgumentException e) {
      host.report().accept(PressureSource.WRITE + ": " + e.getMessage());
      return Optional.empty();
    }
    StallThreshold.Window window = new StallThreshold.Window(threshold);
    window.begin(host.nanoTime().getAsLong(), threshold.totalMicros(first));
    long periodNanos = Math.max(MIN_PRESSURE_PERIOD_NANOS, window.windowNanos() / 10);
    return Optional.of(
        start(
            periodNanos,
            file,
            () -> {
              Pressure pressure = readPressure(file).orElse(null);
              if (pressure != null
                  && window.look(host.nanoTime().getAsLong(), threshold.totalMicros(pressure))) {
                onPressure.accept(pressure);
              }
            }));
  }

  private Optional<ContainerWatch> watchFifo(Path file, Consumer<Pressure> onPressure) {
    PressureFifo fifo;
    try {
      fifo = new PressureFifo(file);
    } catch (IOException e) {
      host.report().accept(PressureSource.WATCH + ": " + e.getMessage());
      return Optional.empty();
    }
    ContainerWatch watch =
        new ContainerWatch(
            poller,
            MIN_PRESSURE_PERIOD_NANOS,
            () -> {
              if (fifo.takeSignal()) {
                onPressure.accept(pressure().orElse(Pressure.NONE));
              }
            },
            fifo::close);
    poller.add(watch);
    return Optional.of(watch);
  }

  private static Optional<Pressure> readPressure(Path file) {
    try {
      return Optional.of(Pressure.parse(Files.readString(file)));
    } catch (IOException | IllegalArgumentException e) {
      return Optional.empty(); // accounting may be switched off, now or for good
    }
  }

  /** Without a file there is nothing to look at, and no thread. */
  private ContainerWatch start(long periodNanos, @Nullable Object files, Runnable look) {
    ContainerWatch watch = new ContainerWatch(poller, periodNanos, look);
    if (files != null) {
      poller.add(watch);
    }
    return watch;
  }

  /**
   * Where the figures come from, and the budget.
   *
   * @return one line
   */
  @Override
  public String toString() {
    CgroupFiles files = found.files();
    return (files == null ? "no container: " + found.absence() : files.toString())
        + ", "
        + budget();
  }
}
