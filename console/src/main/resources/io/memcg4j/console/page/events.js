// What happens to groups, newest first; kept from the moment that the page was opened.

import { h, visible, setText } from "./dom.js";
import * as f from "./format.js";
import { stream } from "./server.js";
import { Rows } from "./rows.js";

const MAX_EVENTS = 2000;
const NAMES = { low: "low protection broken", high: "above high", max: "refused or reclaimed at max", oom: "out of memory", oomKill: "victim asked to close", oomGroupKill: "group asked to close" };
const SEVERE = new Set(["oom", "oomKill", "oomGroupKill"]);

export class Events {
  #all = [];
  #paused = false;
  #filter = "";

  constructor() {
    this.filterBox = h("input", { type: "search", placeholder: "Filter by group or event", "@aria-label": "Filter events",
      oninput: () => { this.#filter = this.filterBox.value.trim().toLowerCase(); this.update(); } });
    this.pause = h("button", { type: "button", "@aria-pressed": "false", title: "Keep the list still (p)", onclick: () => this.togglePause() }, "Pause");
    this.note = h("span", { className: "muted num" });
    this.scroller = h("div", { className: "scroller", tabIndex: 0, "@role": "log", "@aria-label": "Events" });
    this.empty = h("div", { className: "empty" }, "Nothing has happened since this page was opened. A group that meets its high or its max shows up here.");
    this.rows = new Rows(this.scroller, makeRow, fillRow);
    this.scroller.append(this.empty);
    this.element = h("section", { className: "page whole" },
      h("div", { className: "bar-tools" }, this.filterBox, this.pause, this.note),
      h("div", { className: "table events-table" },
        h("div", { className: "row head-row" }, ...["Time", "Group", "Event", "Times", "Usage", "Max"].map((text) => h("span", { className: "head" }, text))), this.scroller));
    stream("/events", (event, data) => this.#take(event, JSON.parse(data)), () => {});
  }

  #take(event, data) {
    if (event === "lost") {
      this.#all.unshift({ t: Date.now(), group: "", event: "messages lost: this page was too slow", times: data.lost, usage: null, max: -1, severe: false });
    } else if (event === "events") {
      for (const [name, text] of Object.entries(NAMES)) {
        const times = data.local[name] - data.before[name];
        if (times > 0) {
          this.#all.unshift({ t: data.t, group: data.group, event: name + ": " + text, times, usage: data.usage, max: data.max, severe: SEVERE.has(name) });
        }
      }
    } else {
      return;
    }
    if (this.#all.length > MAX_EVENTS) this.#all.length = MAX_EVENTS;
    if (this.element.isConnected) this.update();
  }

  togglePause() {
    this.#paused = !this.#paused;
    this.pause.setAttribute("aria-pressed", String(this.#paused));
    this.update();
  }

  update() {
    if (this.#paused) return;
    const wanted = this.#filter;
    const items = wanted === "" ? this.#all.slice()
      : this.#all.filter((e) => (visible(e.group) + " " + e.event).toLowerCase().includes(wanted));
    this.rows.items = items;
    this.rows.render();
    this.empty.hidden = items.length > 0;
    setText(this.note, items.length === 0 ? "" : f.count(items.length) + " events");
  }

  shown() {
    this.update();
  }
}

function makeRow() {
  return h("div", { className: "row" }, ...["num", "text", "text", "num", "num", "num"].map((name) => h("span", { className: name })));
}

function fillRow(row, e) {
  row.classList.toggle("severe", e.severe);
  [f.clock(e.t), visible(e.group), e.event, f.count(e.times), e.usage === null ? "" : f.bytes(e.usage), e.usage === null ? "" : f.limit(e.max)]
    .forEach((text, i) => setText(row.children[i], text));
}
