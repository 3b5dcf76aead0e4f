// Blocks that nobody points to: by call site, tenant, age; scan, clear; where they were allocated.

import { fill, h, setText, visible, copy } from "./dom.js";
import * as f from "./format.js";
import { canWrite, getJson, getText, put } from "./server.js";
import { Flame, shortFrame } from "./flame.js";
import { Table, failure, tile } from "./table.js";

const EVERY = 3000;
// Where call sites are not recorded, the blocks of a tenant and cache are one row.
const whole = (g) => g.nrBytes + g.heldBytes;

const cacheOf = (g) => visible(g.cache) + (g.nrCaches > 1 ? " +" + (g.nrCaches - 1) : "");

const COLUMNS = [
  { key: "group", label: "Tenant", align: "text", value: (g) => g.group, text: (g) => visible(g.group || "–") },
  { key: "bytes", label: "Bytes", value: whole, text: (g) => f.bytes(whole(g)), title: "With what only they hold" },
  { key: "blocks", label: "Blocks", value: (g) => g.nrBlocks + g.nrHeld, text: (g) => f.count(g.nrBlocks) + (g.nrHeld ? " +" + f.count(g.nrHeld) : ""), title: "And blocks only they hold" },
  { key: "age", label: "Age", value: (g) => g.ageSeconds, text: (g) => (g.isAgeExact ? "" : "> ") + f.seconds(g.ageSeconds), title: "Of the oldest" },
  { key: "cache", label: "Cache", align: "text", value: (g) => g.cache, text: cacheOf },
  { key: "site", label: "Allocated at", align: "text", value: (g) => g.frames[0] ?? "", text: (g) => (g.frames.length ? shortFrame(g.frames[0]) : "not recorded") },
];

export class Leaks {
  #asked = 0;
  #report = null;
  #busy = false;

  constructor() {
    this.scanButton = h("button", { type: "button", className: "primary", onclick: () => this.#command("scan") }, "Scan now");
    this.clearButton = h("button", { type: "button", title: "What is listed is no leak any more", onclick: () => this.#command("clear") }, "Mark all as known");
    this.autoButton = h("button", { type: "button", title: "scan=on: every ten minutes, or as the scanner was built", onclick: () => this.#command("scan=on") }, "Scan regularly");
    this.textButton = h("button", { type: "button", title: "kmemleak's text to the clipboard", onclick: async () => copy(await getText("/kmemleak"), this.textButton) }, "Copy text");
    this.message = h("span", { className: "message", "@role": "status" });
    this.tenant = h("select", { "@aria-label": "Tenant", onchange: () => this.#show() });
    this.tiles = h("div", { className: "tiles" });
    this.table = new Table("Leaks", "leaks", COLUMNS, { key: "bytes", down: true }, (group) => this.#select(group));
    this.flame = new Flame("Call sites of leaks");
    this.one = h("div", { className: "panel one" });
    this.element = h("section", { className: "page" },
      h("div", { className: "bar-tools" }, this.scanButton, this.autoButton, this.clearButton, this.textButton, this.tenant, this.message),
      this.tiles, h("div", { className: "two" }, h("div", {}, h("h2", {}, "By call site"), this.table.element), this.one),
      h("h2", {}, "Where they were allocated"), this.flame.element);
  }

  async update() {
    for (const button of [this.scanButton, this.clearButton, this.autoButton]) {
      button.disabled = !canWrite() || this.#busy;
      if (!canWrite()) button.title = "Read-only: needs the token";
    }
    if (Date.now() - this.#asked < EVERY) return;
    this.#asked = Date.now();
    try {
      this.#report = await getJson("/kmemleak");
      this.#fill();
    } catch (error) {
      this.tiles.replaceChildren(failure(error));
    }
  }

  shown() {
    this.#asked = 0;
    this.update();
  }

  #fill() {
    const r = this.#report;
    if (!r.isPresent) {
      this.table.set([], "This console has no leak scanner: Console.builder(kmalloc).leaks(Kmemleak.builder(kmalloc).build())");
      this.flame.set([], "No leak scanner.");
      return;
    }
    r.groups.forEach((g) => { g.key = g.address; });
    const tenants = Object.entries(r.bytesByGroup).sort((a, b) => b[1] - a[1]);
    this.tiles.replaceChildren(
      tile("Leaked", f.bytes(r.nrBytes), f.count(r.nrSuspects) + " blocks"),
      tile("Call sites", f.count(r.nrGroups), r.nrGroups > r.groups.length ? "the largest are shown" : ""),
      tile("Tenants", f.count(tenants.length), tenants.length ? "most: " + visible(tenants[0][0]).slice(0, 40) : ""),
      tile("Last scan", r.nrBlocks === 0 ? "none yet" : f.seconds(r.scanNanos / 1e9), r.nrBlocks === 0 ? "" : f.count(r.nrBlocks) + " blocks, " + f.bytes(r.nrScannedBytes)),
      tile("Scanner", r.isOn ? "on" : "off", r.nrNew ? f.count(r.nrNew) + " new" : ""));
    const chosen = this.tenant.value;
    this.tenant.replaceChildren(h("option", { value: "" }, "All tenants"),
      ...tenants.map(([group, nrBytes]) => h("option", { value: group }, visible(group || "–").slice(0, 60) + "  " + f.bytes(nrBytes))));
    this.tenant.value = tenants.some(([group]) => group === chosen) ? chosen : "";
    this.#show();
  }

  #show() {
    const groups = this.#report.groups.filter((g) => this.tenant.value === "" || g.group === this.tenant.value);
    const text = this.#report.nrBlocks === 0 ? "No scan yet. “Scan now” looks for blocks that nobody points to; a leak is reported by the second scan."
      : "The last scan found no leak.";
    this.table.set(groups, text);
    this.flame.set(groups.map((g) => ({ frames: g.frames, bytes: whole(g), count: g.nrBlocks + g.nrHeld, leaf: g.frames.length ? null : "[" + g.cache + "]" })),
      "Nothing to show.");
    if (groups.length === 0) this.one.replaceChildren(h("p", { className: "muted" }, "Select a leak to see its call stack."));
    else if (this.one.childElementCount < 2) this.table.select(this.table.shown[0]);
  }

  #select(g) {
    const dump = h("pre", {});
    fill(this.one,
      h("h3", {}, h("bdi", {}, visible(g.group || "–")), " ", h("span", { className: "muted" }, cacheOf(g))),
      h("p", { className: "num" }, `${f.count(g.nrBlocks)} blocks, ${f.bytes(g.nrBytes)}; the first of ${f.bytes(g.blockBytes)} at ${g.address}`),
      g.comm ? h("p", { className: "muted" }, "thread " + visible(g.comm)) : null,
      h("ol", { className: "frames" }, ...(g.frames.length ? g.frames : ["call site not recorded: turn on sampling under Call sites"])
        .map((frame) => h("li", {}, visible(frame)))),
      h("button", { type: "button", disabled: !canWrite(), onclick: async () => {
        try { setText(dump, await put("/kmemleak", "dump=" + g.address)); } catch (error) { setText(dump, error.message); }
      } }, "What is known of the block"), dump);
  }

  async #command(command) {
    this.#busy = true;
    this.message.className = "message";
    setText(this.message, command + " …");
    this.update();
    const began = performance.now();
    try {
      await put("/kmemleak", command);
      setText(this.message, `${command}: done in ${f.seconds((performance.now() - began) / 1000)}`);
    } catch (error) {
      this.message.className = "message bad";
      setText(this.message, error.message);
    }
    this.#busy = false;
    this.one.replaceChildren();
    this.shown();
  }
}
