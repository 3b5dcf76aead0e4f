package io.memcg4j.console;

import io.memcg4j.memcg.MemCgroup;
import java.lang.System.Logger.Level;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** Reads all groups once a tick, for all clients together, and tells them what has changed. */
final class Ticker implements AutoCloseable {
  /*
   * Layout     one table, one history; a queue for each client of a stream. Messages are made once
   *            and shared: bytes that nobody changes.
   * Invariant  a client that has a snapshot gets every delta after it, or a new snapshot: it is added
   *            to the clients and its snapshot is made under one hold of the lock.
   * Locks      lock, over table and history. Reading groups takes no lock that a charge needs but what
   *            their pressure files take. No client is written to with it held.
   * Cost       10 000 groups, all of them changing, a page open: 5 ms of one core a tick.
   */
  /** Clients of streams at once, of each kind. */
  static final int MAX_SUBSCRIBERS = 32;

  private static final System.Logger LOGGER = System.getLogger(Ticker.class.getName());

  private final MemCgroup root;
  private final GroupTable table;
  private final History history = new History();
  private final ReentrantLock lock = new ReentrantLock();
  private final List<Subscriber> live = new ArrayList<>();
  private final List<Subscriber> eventing = new ArrayList<>();
  private final ScheduledFuture<?> ticking;
  private final long periodMillis;
  private long timeMillis;
  private byte @Nullable [] snapshot;

  Ticker(MemCgroup root, ScheduledExecutorService timer, Duration period) {
    this.root = root;
    this.table = new GroupTable(root);
    this.periodMillis = period.toMillis();
    tick();
    ticking =
        timer.scheduleAtFixedRate(
            this::tickOrLog, periodMillis, periodMillis, TimeUnit.MILLISECONDS);
  }

  private void tickOrLog() {
    try {
      tick();
    } catch (RuntimeException e) {
      LOGGER.log(Level.WARNING, "reading the groups failed", e);
    }
  }

  private void tick() {
    lock.lock();
    try {
      timeMillis = System.currentTimeMillis();
      GroupTable.Changes changes = table.read();
      history.record(timeMillis, table);
      snapshot = null;
      if (!live.isEmpty()) {
        byte[] delta = message("delta", json -> delta(json, changes));
        live.forEach(subscriber -> subscriber.offer(delta));
      }
      if (!changes.withEvents().isEmpty() || !eventing.isEmpty()) {
        byte[] happened = happened(changes);
        if (happened.length > 0) {
          eventing.forEach(subscriber -> subscriber.offer(happened));
        }
      }
    } finally {
      lock.unlock();
    }
  }

  // ---- clients

  /**
   * Adds a client and gives it its first message.
   *
   * @throws HttpError if there are too many
   */
  byte[] subscribeLive(Subscriber subscriber) {
    lock.lock();
    try {
      add(live, subscriber);
      return snapshot(0);
    } finally {
      lock.unlock();
    }
  }

  /** A client that has lost messages starts anew. */
  byte[] resync(Subscriber subscriber, long nrLost) {
    lock.lock();
    try {
      subscriber.clear();
      subscriber.takeLost();
      return snapshot(nrLost);
    } finally {
      lock.unlock();
    }
  }

  void subscribeEvents(Subscriber subscriber) {
    lock.lock();
    try {
      add(eventing, subscriber);
    } finally {
      lock.unlock();
    }
  }

  private static void add(List<Subscriber> subscribers, Subscriber subscriber) {
    if (subscribers.size() >= MAX_SUBSCRIBERS) {
      throw new HttpError(HttpError.UNAVAILABLE, "too many streams: legal=0.." + MAX_SUBSCRIBERS);
    }
    subscribers.add(subscriber);
  }

  void unsubscribe(Subscriber subscriber) {
    lock.lock();
    try {
      live.remove(subscriber);
      eventing.remove(subscriber);
    } finally {
      lock.unlock();
    }
  }

  // ---- messages

  private byte[] snapshot(long nrLost) {
    byte[] current = snapshot;
    if (current == null || nrLost != 0) {
      current = message("snapshot", json -> whole(json, nrLost));
      snapshot = nrLost == 0 ? current : snapshot;
    }
    return current;
  }

  private void whole(Json json, long nrLost) {
    json.beginObject().put("t", timeMillis).put("lost", nrLost).put("periodMillis", periodMillis);
    json.beginArray("columns");
    GroupRow.COLUMNS.forEach(json::add);
    json.endArray().beginArray("groups");
    table.rows().forEach(row -> row.appendNew(json));
    json.endArray().endObject();
  }

  private void delta(Json json, GroupTable.Changes changes) {
    json.beginObject().put("t", timeMillis).beginArray("appeared");
    changes.appeared().forEach(row -> row.appendNew(json));
    json.endArray().beginArray("changed");
    changes.changed().forEach(row -> row.append(json));
    json.endArray().beginArray("gone");
    changes.gone().forEach(json::add);
    json.endArray().endObject();
  }

  private byte[] message(String event, Consumer<Json> data) {
    Json json = new Json(256 + 96 * table.rows().size()).raw("event: " + event + "\ndata: ");
    data.accept(json);
    return json.raw("\n\n").toString().getBytes(StandardCharsets.UTF_8);
  }

  /** A message for each group that had events itself, and for each whose pressure has changed. */
  private byte[] happened(GroupTable.Changes changes) {
    StringBuilder text = new StringBuilder();
    for (GroupRow row : changes.withEvents()) {
      var before = row.local;
      row.local = row.group.eventsLocal();
      if (!row.local.equals(before)) {
        Json json = new Json().beginObject().put("t", timeMillis).put("group", row.group.path());
        json.put("usage", row.figures[GroupRow.USAGE]).put("max", row.figures[GroupRow.MAX]);
        json.name("local");
        GroupFiles.events(json, row.local);
        json.name("before");
        GroupFiles.events(json, before);
        text.append("event: events\ndata: ").append(json.endObject()).append("\n\n");
      }
    }
    if (eventing.isEmpty()) {
      return new byte[0];
    }
    for (GroupRow row : changes.changed()) {
      if (row.figures[GroupRow.STALLED_MICROS] != row.toldStalledMicros) {
        row.toldStalledMicros = row.figures[GroupRow.STALLED_MICROS];
        Json json = new Json().beginObject().put("t", timeMillis).put("group", row.group.path());
        json.name("pressure");
        GroupFiles.pressure(json, row.group.pressure());
        text.append("event: pressure\ndata: ").append(json.endObject()).append("\n\n");
      }
    }
    return text.toString().getBytes(StandardCharsets.UTF_8);
  }

  // ---- for single requests

  String tree() {
    lock.lock();
    try {
      Json json = new Json(256 + 256 * table.rows().size());
      json.beginObject().put("t", timeMillis).beginArray("groups");
      table.rows().forEach(row -> row.appendNamed(json));
      return json.endArray().endObject().toString();
    } finally {
      lock.unlock();
    }
  }

  String history(List<String> names) {
    MemCgroup group = GroupFiles.find(root, names);
    lock.lock();
    try {
      history.want(group);
      Json json = new Json(64 * History.NR_TICKS);
      json.beginObject().put("path", group.path()).put("periodMillis", periodMillis);
      history.append(json, group);
      return json.endObject().toString();
    } finally {
      lock.unlock();
    }
  }

  @Override
  public void close() {
    ticking.cancel(false);
  }
}
