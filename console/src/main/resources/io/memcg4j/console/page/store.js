// All groups as the stream told them. Figures are in an array each, by column.

export const USAGE = 0, PEAK = 1, MIN = 2, LOW = 3, HIGH = 4, MAX = 5;
export const EV_LOW = 6, EV_HIGH = 7, EV_MAX = 8, EV_OOM = 9, EV_KILL = 10;
export const SOME10 = 11, FULL10 = 12, STALLED = 13, WAITING = 14;
const NEW_FIGURES = 3; // number, parent, name, then the figures

export class Store {
  groups = new Map();
  root = null;
  time = 0;
  periodMillis = 1000;
  /** Grows when groups come or go. */
  shape = 0;
  lost = 0;
  columns = [];

  apply(event, data) {
    if (event === "snapshot") {
      this.groups = new Map();
      this.root = null;
      this.columns = data.columns;
      this.periodMillis = data.periodMillis;
      this.lost += data.lost;
      data.groups.forEach((row) => this.add(row));
      this.shape++;
    } else if (event === "delta") {
      this.delta(data);
    } else {
      return;
    }
    this.time = data.t;
  }

  delta(data) {
    const elapsed = Math.max(0.001, (data.t - this.time) / 1000);
    for (const group of this.moved ?? []) group.rate = 0;
    this.moved = [];
    for (const row of data.changed) {
      const group = this.groups.get(row[0]);
      if (!group) continue;
      const before = group.f[USAGE];
      row.shift();
      group.f = row;
      if (row[USAGE] !== before) {
        group.rate = (row[USAGE] - before) / elapsed;
        this.moved.push(group);
      }
    }
    data.appeared.forEach((row) => this.add(row));
    data.gone.forEach((id) => this.remove(id));
    if (data.appeared.length + data.gone.length > 0) this.shape++;
  }

  add(row) {
    const parent = this.groups.get(row[1]) ?? null;
    const path = parent === null ? "/" : (parent.parent === null ? "" : parent.path) + "/" + row[2];
    const group = {
      id: row[0], parent, name: row[2], path, depth: parent === null ? 0 : parent.depth + 1,
      children: [], rate: 0, f: row.slice(NEW_FIGURES),
    };
    this.groups.set(group.id, group);
    if (parent === null) this.root = group;
    else parent.children.push(group);
  }

  remove(id) {
    const group = this.groups.get(id);
    if (!group) return;
    this.groups.delete(id);
    group.gone = true;
    if (group.parent) {
      const at = group.parent.children.indexOf(group);
      if (at >= 0) group.parent.children.splice(at, 1);
    }
  }
}

/** What is over what: for colours and for the order by state. */
export function stateOf(group) {
  const usage = group.f[USAGE];
  const max = group.f[MAX];
  const high = group.f[HIGH];
  if (max >= 0 && usage >= 0.97 * max && max > 0) return "full";
  if (high >= 0 && usage > high) return "over";
  return "ok";
}

/** The limit that counts for the bar: the lowest max of the group and those above it. */
export function ceiling(group) {
  let lowest = -1;
  for (let at = group; at !== null; at = at.parent) {
    if (at.f[MAX] >= 0 && (lowest < 0 || at.f[MAX] < lowest)) lowest = at.f[MAX];
  }
  return lowest;
}
