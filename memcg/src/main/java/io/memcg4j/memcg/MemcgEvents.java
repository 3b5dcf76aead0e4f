package io.memcg4j.memcg;

import java.util.List;
import java.util.stream.Collectors;
import jdk.jfr.Category;
import jdk.jfr.DataAmount;
import jdk.jfr.Description;
import jdk.jfr.Enabled;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;
import jdk.jfr.Threshold;
import jdk.jfr.Timespan;

/** What a recording of the JVM is told of limits. */
final class MemcgEvents {
  /*
   * Cost       of an event that no recording wants: the look whether one does, which the JVM compiles
   *            to a constant. So it is asked of an instance that is never committed; one that
   *            carries figures is made only for a recording.
   * Not        that each refusal, pause or removal is recorded: at most so many a second are. The
   * guaranteed counts in MemoryEvents have all.
   */
  private static final LimitHit ANY_LIMIT_HIT = new LimitHit();
  private static final Refusal ANY_REFUSAL = new Refusal();
  private static final Pause ANY_PAUSE = new Pause();
  private static final Reclaim ANY_RECLAIM = new Reclaim();
  private static final OutOfMemory ANY_OUT_OF_MEMORY = new OutOfMemory();
  private static final OomKill ANY_OOM_KILL = new OomKill();
  private static final Removal ANY_REMOVAL = new Removal();

  private MemcgEvents() {}

  /** A limit stood in the way of a charge; it may be granted yet, after reclaim. */
  @Name("memcg4j.LimitHit")
  @Label("Limit Hit")
  @Description("A charge that memory.max refused at first: what memory.events counts as max")
  @Category("memcg4j")
  @Enabled(false)
  @StackTrace(false)
  @jdk.jfr.Throttle("100/s")
  static final class LimitHit extends Event {
    @Label("Control Group")
    String cgroup = "";

    @Label("Usage")
    @DataAmount
    long usage;

    @Label("Limit")
    @DataAmount
    long max;
  }

  /** A request that is refused for good. */
  @Name("memcg4j.Refusal")
  @Label("Refusal")
  @Description("A request for memory that was refused")
  @Category("memcg4j")
  @jdk.jfr.Throttle("100/s")
  static final class Refusal extends Event {
    @Label("Control Group")
    String cgroup = "";

    @Label("Limited By")
    String limitedBy = "";

    @Label("Requested")
    @DataAmount
    long requested;

    @Label("Usage")
    @Description("Of the group whose limit refused")
    @DataAmount
    long usage;

    @Label("Limit")
    @DataAmount
    long max;

    @Label("Reclaim Rounds")
    int reclaimRounds;

    @Label("Freed")
    @DataAmount
    long freed;
  }

  /** A thread that is slowed; the pause is the event's duration. */
  @Name("memcg4j.Throttle")
  @Label("Throttle")
  @Description("A pause of a thread whose group is above memory.high")
  @Category("memcg4j")
  @Threshold("10 ms")
  @jdk.jfr.Throttle("100/s")
  static final class Pause extends Event {
    @Label("Control Group")
    String cgroup = "";

    @Label("Limited By")
    String limitedBy = "";

    @Label("Due")
    @Timespan
    long due;

    @Label("Usage")
    @Description("Of the group that is above its limit")
    @DataAmount
    long usage;

    @Label("High")
    @DataAmount
    long high;
  }

  /** One walk over the shrinkers of a subtree. */
  @Name("memcg4j.Reclaim")
  @Label("Reclaim")
  @Description("A walk over the shrinkers of a group and those below it")
  @Category("memcg4j")
  @StackTrace(false)
  @Threshold("1 ms")
  @jdk.jfr.Throttle("100/s")
  static final class Reclaim extends Event {
    @Label("Control Group")
    String cgroup = "";

    @Label("Reason")
    String reason = "";

    @Label("Requested")
    @DataAmount
    long requested;

    @Label("Freed")
    @DataAmount
    long freed;

    @Label("Usage")
    @Description("After the walk")
    @DataAmount
    long usage;
  }

  /** A visit to the out-of-memory policy; the duration has the wait for its victims in it. */
  @Name("memcg4j.OutOfMemory")
  @Label("Out of Memory")
  @Description("The out-of-memory policy was asked, as reclaim freed nothing")
  @Category("memcg4j")
  @jdk.jfr.Throttle("100/s")
  static final class OutOfMemory extends Event {
    @Label("Control Group")
    String cgroup = "";

    @Label("Requested")
    @DataAmount
    long requested;

    @Label("Victims")
    @Description("Groups that were waited for, the ones of an earlier request among them")
    String victims = "";

    @Label("Tried Again")
    boolean again;
  }

  /** A group that is asked to close. */
  @Name("memcg4j.OomKill")
  @Label("Out of Memory Kill")
  @Description("A group was asked to close")
  @Category("memcg4j")
  @StackTrace(false)
  static final class OomKill extends Event {
    @Label("Control Group")
    String cgroup = "";

    @Label("Usage")
    @DataAmount
    long usage;
  }

  /** A group that was taken out of the tree. */
  @Name("memcg4j.Removal")
  @Label("Removal")
  @Description("A group was removed; what it used goes to its parent")
  @Category("memcg4j")
  @StackTrace(false)
  @jdk.jfr.Throttle("100/s")
  static final class Removal extends Event {
    @Label("Control Group")
    String cgroup = "";

    @Label("Usage")
    @Description("When it was removed, with what slots held in advance")
    @DataAmount
    long usage;

    @Label("Peak")
    @DataAmount
    long peak;

    @Label("Limit Hits")
    long nrMax;
  }

  static void limitHit(MemCgroup refusing) {
    if (!ANY_LIMIT_HIT.isEnabled()) {
      return;
    }
    LimitHit event = new LimitHit();
    if (event.shouldCommit()) {
      event.cgroup = refusing.path();
      event.usage = refusing.usage();
      event.max = refusing.max();
      event.commit();
    }
  }

  static boolean wantsRefusals() {
    return ANY_REFUSAL.isEnabled();
  }

  static void refusal(
      MemCgroup group, MemCgroup refusing, long requestedBytes, int nrRounds, long freedBytes) {
    Refusal event = new Refusal();
    if (event.shouldCommit()) {
      event.cgroup = group.path();
      event.limitedBy = refusing.path();
      event.requested = requestedBytes;
      event.usage = refusing.usage();
      event.max = refusing.max();
      event.reclaimRounds = nrRounds;
      event.freed = freedBytes;
      event.commit();
    }
  }

  /** The event of a pause that begins now, or one that {@link #end} drops. */
  static Pause beginPause() {
    Pause event = ANY_PAUSE.isEnabled() ? new Pause() : ANY_PAUSE;
    if (event != ANY_PAUSE) {
      event.begin();
    }
    return event;
  }

  static void end(Pause event, MemCgroup group, String limitedBy, long delayNanos) {
    if (event == ANY_PAUSE) {
      return;
    }
    event.end();
    if (event.shouldCommit()) {
      event.cgroup = group.path();
      event.limitedBy = limitedBy;
      event.due = delayNanos;
      MemCgroup limiting = group.treeRoot().find(limitedBy);
      event.usage = limiting == null ? 0 : limiting.usage();
      event.high = limiting == null ? 0 : limiting.high();
      event.commit();
    }
  }

  /** The event of a walk that begins now, or one that {@link #end} drops. */
  static Reclaim beginReclaim() {
    Reclaim event = ANY_RECLAIM.isEnabled() ? new Reclaim() : ANY_RECLAIM;
    if (event != ANY_RECLAIM) {
      event.begin();
    }
    return event;
  }

  static void end(
      Reclaim event, MemCgroup top, String reason, long requestedBytes, long freedBytes) {
    if (event == ANY_RECLAIM) {
      return;
    }
    event.end();
    if (event.shouldCommit()) {
      event.cgroup = top.path();
      event.reason = reason;
      event.requested = requestedBytes;
      event.freed = freedBytes;
      event.usage = top.usage();
      event.commit();
    }
  }

  /** The event of a visit that begins now, or one that {@link #end} drops. */
  static OutOfMemory beginOutOfMemory() {
    OutOfMemory event = ANY_OUT_OF_MEMORY.isEnabled() ? new OutOfMemory() : ANY_OUT_OF_MEMORY;
    if (event != ANY_OUT_OF_MEMORY) {
      event.begin();
    }
    return event;
  }

  static void end(
      OutOfMemory event,
      MemCgroup refusing,
      long requestedBytes,
      List<MemCgroup> victims,
      boolean again) {
    if (event == ANY_OUT_OF_MEMORY) {
      return;
    }
    event.end();
    if (event.shouldCommit()) {
      event.cgroup = refusing.path();
      event.requested = requestedBytes;
      event.victims = victims.stream().map(MemCgroup::path).collect(Collectors.joining("\n"));
      event.again = again;
      event.commit();
    }
  }

  static void oomKill(MemCgroup victim) {
    if (!ANY_OOM_KILL.isEnabled()) {
      return;
    }
    OomKill event = new OomKill();
    event.cgroup = victim.path();
    event.usage = victim.usage();
    event.commit();
  }

  /** To be called before the group's counter means nothing any more. */
  static void removal(MemCgroup group) {
    if (!ANY_REMOVAL.isEnabled()) {
      return;
    }
    Removal event = new Removal();
    if (event.shouldCommit()) {
      event.cgroup = group.path();
      event.usage = group.usage();
      event.peak = group.peak();
      event.nrMax = group.events().max();
      event.commit();
    }
  }
}
