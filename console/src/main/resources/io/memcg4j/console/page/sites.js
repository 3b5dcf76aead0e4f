// Live memory by call site, from the allocation profile.

import { h, setText, visible } from "./dom.js";
import * as f from "./format.js";
import { canWrite, getJson, put } from "./server.js";
import { Flame, shortFrame } from "./flame.js";
import { Table, failure } from "./table.js";

const EVERY = 3000;
const MODES = [["off", "Off"], ["sample", "Sample"], ["exact", "Exact"]];

const COLUMNS = [
  { key: "site", label: "Call site", align: "text", value: (s) => s.frame, text: (s) => visible(shortFrame(s.frame)) },
  { key: "bytes", label: "Live bytes", value: (s) => s.liveBytes, text: (s) => f.bytes(s.liveBytes) },
  { key: "live", label: "Live objects", value: (s) => s.nrLive, text: (s) => f.count(s.nrLive) },
  { key: "all", label: "Recorded", value: (s) => s.nrAllocated, text: (s) => f.count(s.nrAllocated), title: "Objects ever recorded, not scaled" },
];

export class Sites {
  #asked = 0;

  constructor() {
    this.modes = new Map(MODES.map(([mode, label]) => [mode, h("button", { type: "button", "@aria-pressed": "false", onclick: () => this.#set(mode) }, label)]));
    this.message = h("span", { className: "message", "@role": "status" });
    this.table = new Table("Call sites", "sites", COLUMNS, { key: "bytes", down: true });
    this.flame = new Flame("Call sites of live memory");
    this.element = h("section", { className: "page" },
      h("div", { className: "bar-tools" }, h("span", { className: "muted" }, "Record"), ...this.modes.values(), this.message),
      h("h2", {}, "Live memory by stack"), this.flame.element, h("h2", {}, "By call site"), this.table.element);
  }

  async update() {
    for (const button of this.modes.values()) button.disabled = !canWrite();
    if (Date.now() - this.#asked < EVERY) return;
    this.#asked = Date.now();
    try {
      const profile = await getJson("/profile");
      for (const [mode, button] of this.modes) button.setAttribute("aria-pressed", String(mode === profile.mode));
      const empty = profile.mode === "off" ? "Nothing is recorded. “Sample” takes about one stack for each 4 MiB; “Exact” takes every one, and is slow."
        : "Recording; nothing that was allocated since then is live.";
      this.table.set(profile.sites, empty);
      this.flame.set(profile.sites.map((s) => ({ frames: s.frames, bytes: s.liveBytes, count: s.nrLive })), empty);
    } catch (error) {
      this.table.set([], "");
      this.flame.element.replaceChildren(failure(error));
    }
  }

  shown() {
    this.#asked = 0;
    this.update();
  }

  async #set(mode) {
    try {
      await put("/profile", mode);
      setText(this.message, "");
    } catch (error) {
      setText(this.message, error.message);
    }
    this.shown();
  }
}
