// One group: figures, limits to set, what the memory is used for, 15 minutes.

import { h, setText, visible, copy } from "./dom.js";
import * as f from "./format.js";
import * as s from "./store.js";
import { address, canWrite, getJson, put } from "./server.js";
import { Plots } from "./plots.js";

const LIMITS = [["min", s.MIN, "Never reclaimed"], ["low", s.LOW, "Protected while others can give"],
  ["high", s.HIGH, "Slowed and reclaimed above"], ["max", s.MAX, "Refused above"]];
const KINDS = ["slab", "vmalloc", "percpu", "heap", "sock", "foreign"];
const FIGURES = ["Usage", "Peak", "Of parent", "Children", "Waiting", "Stalled", "High events", "Max events", "OOM", "Victims"];
const DETAIL_EVERY = 2000;

export class Detail {
  #group = null;
  #asked = 0;

  constructor(store, onPath) {
    this.store = store;
    this.onPath = onPath;
    this.plots = new Plots();
    this.title = h("h2", {});
    this.copyButton = h("button", { type: "button", className: "quiet", title: "Copy the figures as JSON",
      onclick: () => this.#copy() }, "JSON");
    this.figures = new Map(FIGURES.map((name) => [name, h("dd", { className: "num" })]));
    this.limits = LIMITS.map(([name, column, title]) => this.#limit(name, column, title));
    this.message = h("p", { className: "message", "@role": "status", "@aria-live": "polite" });
    this.psi = h("table", { className: "psi" });
    this.kinds = h("div", { className: "kinds" });
    this.element = h("aside", { className: "panel detail", "@aria-label": "Group" },
      h("div", { className: "detail-head" }, this.title, this.copyButton),
      h("dl", { className: "figures" }, ...FIGURES.map((name) => h("div", {}, h("dt", {}, name), this.figures.get(name)))),
      h("form", { className: "limits", "@aria-label": "Limits", onsubmit: (e) => e.preventDefault() }, ...this.limits.map((l) => l.element)),
      this.message, this.plots.element,
      h("h3", {}, "Pressure ", h("span", { className: "muted" }, "% of time that somebody, or everybody, waited")), this.psi,
      h("h3", {}, "Used for"), this.kinds);
  }

  #limit(name, column, title) {
    const input = h("input", { type: "text", "@aria-label": "memory." + name, "@spellcheck": "false", "@autocomplete": "off", id: "limit-" + name,
      title, onkeydown: (e) => { if (e.key === "Enter") { e.preventDefault(); this.#write(limit); } if (e.key === "Escape") { limit.edited = false; this.update(); input.blur(); } },
      oninput: () => { limit.edited = true; button.disabled = !canWrite(); } });
    const button = h("button", { type: "button", disabled: true, onclick: () => this.#write(limit) }, "Set");
    const limit = { name, column, input, button, edited: false,
      element: h("label", { title }, h("span", {}, "memory." + name), input, button) };
    return limit;
  }

  show(group) {
    if (this.#group === group) return;
    this.#group = group;
    this.limits.forEach((limit) => { limit.edited = false; });
    this.#say("", "");
    this.plots.clear();
    this.psi.replaceChildren();
    this.kinds.replaceChildren();
    this.#asked = 0;
    const path = group.path;
    getJson(address("history", path)).then((history) => {
      if (this.#group?.path === path) this.plots.load(history);
    }, () => {});
  }

  update() {
    const g = this.#group;
    if (g === null) return;
    const v = g.f;
    setText(this.title, visible(g.path));
    this.title.title = visible(g.path).slice(0, 2000);
    const texts = [f.bytes(v[s.USAGE]), f.bytes(v[s.PEAK]), g.parent ? f.percent(v[s.USAGE] / g.parent.f[s.USAGE]) : "–",
      f.count(g.children.length), f.count(v[s.WAITING]), f.seconds(v[s.STALLED] / 1e6), f.count(v[s.EV_HIGH]),
      f.count(v[s.EV_MAX]), f.count(v[s.EV_OOM]), f.count(v[s.EV_KILL])];
    FIGURES.forEach((name, i) => setText(this.figures.get(name), texts[i]));
    for (const limit of this.limits) {
      limit.input.readOnly = !canWrite();
      if (!limit.edited) {
        const text = limitOrNone(limit, v);
        if (limit.input.value !== text) limit.input.value = text;
        limit.button.disabled = true;
      }
    }
    this.plots.add(this.store.time, g);
    if (Date.now() - this.#asked > DETAIL_EVERY) this.#ask(g);
  }

  async #ask(g) {
    this.#asked = Date.now();
    try {
      const detail = await getJson(address("groups", g.path) + "/");
      if (this.#group === g) this.#fill(detail);
    } catch {
      // The stream tells whether the console is there, and whether the group is.
    }
  }

  #fill(detail) {
    const row = (name, line) => h("tr", {}, h("th", { "@scope": "row" }, name),
      ...["avg10", "avg60", "avg300"].map((key) => h("td", { className: "num" + (line[key] >= 5 ? " hot" : "") }, f.pressure(line[key]))),
      h("td", { className: "num" }, f.seconds(line.totalMicros / 1e6)));
    this.psi.replaceChildren(
      h("tr", {}, ...["", "10 s", "60 s", "300 s", "total"].map((name) => h("th", { "@scope": "col" }, name))),
      row("some", detail.pressure.some), row("full", detail.pressure.full));
    const total = KINDS.reduce((sum, kind) => sum + detail.stat[kind], 0);
    const bar = h("div", { className: "stack" });
    const key = h("div", { className: "stack-key" });
    for (const kind of KINDS) {
      if (detail.stat[kind] === 0) continue;
      const part = h("span", { className: "kind-" + kind, title: kind });
      part.style.flexGrow = String(detail.stat[kind] / total);
      bar.append(part);
      key.append(h("span", {}, h("i", { className: "kind-" + kind }), kind + " ", h("b", { className: "num" }, f.bytes(detail.stat[kind]))));
    }
    this.kinds.replaceChildren(...(total === 0 ? [h("p", { className: "muted" }, "Nothing is charged to this group.")] : [bar, key]));
  }

  async #write(limit) {
    const g = this.#group;
    if (!canWrite()) {
      this.#say("bad", "Read-only: give the token first (“read-only”, top right).");
      return;
    }
    const text = limit.input.value.trim();
    limit.button.disabled = true;
    this.#say("", "memory." + limit.name + " …");
    const began = performance.now();
    try {
      const now = (await put(address("groups", g.path) + "/memory." + limit.name, text)).trim();
      limit.edited = false;
      limit.input.blur();
      g.f[limit.column] = now === "max" ? -1 : Number(now);
      this.#say("good", `memory.${limit.name} is ${now === "max" ? "max" : f.bytes(Number(now))} (${Math.round(performance.now() - began)} ms)`);
    } catch (error) {
      this.#say("bad", error.message);
      limit.button.disabled = false;
    }
    this.update();
  }

  #say(kind, text) {
    this.message.className = "message " + kind;
    setText(this.message, text);
  }

  #copy() {
    const g = this.#group;
    if (g === null) return;
    const figures = Object.fromEntries(this.store.columns.map((name, i) => [name, g.f[i]]));
    copy(JSON.stringify({ path: g.path, ...figures }, null, 2), this.copyButton);
  }

  focusLimits() {
    this.limits[2].input.focus();
    this.limits[2].input.select();
  }
}

function limitOrNone(limit, figures) {
  return f.limitText(figures[limit.column]);
}
