package io.memcg4j.jmx;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemCgroupFs;
import io.memcg4j.memcg.MemoryEvents;
import io.memcg4j.memcg.MemoryStat;
import io.memcg4j.memcg.Pressure;
import java.util.Locale;

/** A group as a bean; it stays the same group, whatever takes its path later. */
final class GroupBean implements MemCgroupMXBean {
  private final MemCgroup group;

  GroupBean(MemCgroup group) {
    this.group = group;
  }

  @Override
  public String getPath() {
    return group.path();
  }

  @Override
  public boolean isOnline() {
    return group.isOnline();
  }

  @Override
  public long getUsage() {
    return group.usage();
  }

  @Override
  public long getPeak() {
    return group.peak();
  }

  @Override
  public int getWaiting() {
    return group.nrWaiting();
  }

  @Override
  public int getDescendants() {
    return group.nrDescendants();
  }

  @Override
  public long getMin() {
    return group.min();
  }

  @Override
  public void setMin(long nrBytes) {
    online().setMin(nrBytes);
  }

  @Override
  public long getLow() {
    return group.low();
  }

  @Override
  public void setLow(long nrBytes) {
    online().setLow(nrBytes);
  }

  @Override
  public long getHigh() {
    return group.high();
  }

  @Override
  public void setHigh(long nrBytes) {
    online().setHigh(nrBytes);
  }

  @Override
  public long getMax() {
    return group.max();
  }

  @Override
  public void setMax(long nrBytes) {
    online().setMax(nrBytes);
  }

  @Override
  public MemoryEvents getEvents() {
    return group.events();
  }

  @Override
  public MemoryStat getStat() {
    return group.stat();
  }

  @Override
  public Pressure getPressure() {
    return group.pressure();
  }

  @Override
  public String read(String file) {
    return new MemCgroupFs(online()).read(fileName(file));
  }

  @Override
  public void write(String file, String text) {
    new MemCgroupFs(online()).write(fileName(file), text);
  }

  @Override
  public long reclaim(long nrBytes) {
    return online().reclaim(nrBytes);
  }

  @Override
  public void drain() {
    group.drain();
  }

  /** A bean is for its own group only. */
  private static String fileName(String file) {
    if (file.indexOf('/') >= 0) {
      throw new IllegalArgumentException("file of another group: file=" + file);
    }
    return file;
  }

  private MemCgroup online() {
    if (!group.isOnline()) {
      throw new IllegalStateException(
          String.format(Locale.ROOT, "group was removed: group=%s", group.path()));
    }
    return group;
  }
}
