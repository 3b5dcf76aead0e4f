// The tree of groups: usage beside high and max, share of the parent, sort, filter, keys.

import { h, setText, setClass, visible } from "./dom.js";
import * as f from "./format.js";
import { Rows, heads, markSorted, sorted } from "./rows.js";
import * as s from "./store.js";
import { Detail } from "./detail.js";

const INDENT = 14;
const MAX_INDENT = 8; // deeper ones stay below each other, with room for their names
const share = (g) => (g.parent ? g.f[s.USAGE] / g.parent.f[s.USAGE] : 1);

const COLUMNS = [
  { key: "name", label: "Group", align: "text", value: (g) => g.name, title: "Sort by name" },
  { key: "bar", label: "Usage of limit", align: "text", value: fullness, title: "Usage beside memory.high (tick) and the lowest memory.max above" },
  { key: "usage", label: "Usage", value: (g) => g.f[s.USAGE], title: "memory.current" },
  { key: "rate", label: "Change/s", value: (g) => g.rate, title: "Change of usage a second" },
  { key: "share", label: "Of parent", value: share, title: "Share of the parent's usage" },
  { key: "high", label: "High", value: (g) => g.f[s.HIGH], title: "memory.high" },
  { key: "max", label: "Max", value: (g) => g.f[s.MAX], title: "memory.max" },
  { key: "psi", label: "Pressure", value: (g) => g.f[s.SOME10], title: "memory.pressure: some avg10, percent of time" },
  { key: "throttled", label: "High ev.", value: (g) => g.f[s.EV_HIGH], title: "memory.events: high, here and below" },
  { key: "refused", label: "Max ev.", value: (g) => g.f[s.EV_MAX], title: "memory.events: max, here and below" },
  { key: "oom", label: "OOM", value: (g) => g.f[s.EV_OOM], title: "memory.events: oom, here and below" },
];

function fullness(g) {
  const ceiling = s.ceiling(g);
  return ceiling < 0 ? 0 : g.f[s.USAGE] / ceiling;
}

export class Groups {
  #sort = { key: "usage", down: true };
  #collapsed = new Set();
  #flat = false;
  #filter = "";
  #only = "all";
  #selected = null;

  constructor(store) {
    this.store = store;
    this.element = this.#build();
    this.detail = new Detail(store, (path) => this.#selectPath(path));
    this.element.append(this.detail.element);
  }

  #build() {
    this.filterBox = h("input", {
      type: "search", placeholder: "Filter by name or path  ( / )", "@aria-label": "Filter groups",
      "@spellcheck": "false", id: "filter",
      oninput: () => { this.#filter = this.filterBox.value.trim().toLowerCase(); this.#touch(true); },
    });
    this.onlyBox = h("select", { "@aria-label": "Which groups", onchange: () => { this.#only = this.onlyBox.value; this.#touch(true); } },
      ...[["all", "All groups"], ["over", "Above high or at max"], ["stalled", "Under pressure"], ["refused", "With refusals"]]
        .map(([value, label]) => h("option", { value, textContent: label })));
    this.flatBox = h("button", { type: "button", "@aria-pressed": "false", title: "List without the tree (t)",
      onclick: () => this.toggleFlat() }, "Flat");
    this.countText = h("span", { className: "muted num", "@role": "status" });
    this.head = h("div", { className: "row head-row", "@role": "row" },
      ...heads(COLUMNS, this.#sort, () => this.#touch(true)));
    this.scroller = h("div", {
      className: "scroller", tabIndex: 0, "@role": "treegrid", "@aria-label": "Groups", id: "groups",
      onkeydown: (e) => this.#key(e),
    });
    this.empty = h("div", { className: "empty", hidden: true });
    this.rows = new Rows(this.scroller, () => this.#makeRow(), (row, g, i) => this.#fillRow(row, g, i));
    this.scroller.append(this.empty);
    return h("section", { className: "split" },
      h("div", { className: "panel list" },
        h("div", { className: "bar-tools" }, this.filterBox, this.onlyBox, this.flatBox,
          h("button", { type: "button", title: "Open all (e)", onclick: () => this.expandAll() }, "Expand"),
          h("button", { type: "button", title: "Close all (c)", onclick: () => this.collapseAll() }, "Collapse"),
          h("span", { className: "grow" }), this.countText),
        h("div", { className: "table groups-table" }, this.head, this.scroller)));
  }

  toggleFlat() {
    this.#flat = !this.#flat;
    this.flatBox.setAttribute("aria-pressed", String(this.#flat));
    this.#touch(true);
  }

  expandAll() {
    this.#collapsed.clear();
    this.#touch(false);
  }

  collapseAll() {
    for (const g of this.store.groups.values()) {
      if (g.parent && g.children.length > 0) this.#collapsed.add(g.path);
    }
    this.#touch(false);
  }

  #touch(toTop) {
    if (toTop) this.scroller.scrollTop = 0;
    this.update();
  }

  // ---- which rows, in which order

  /** After each message of the stream, if this view is shown. */
  update() {
    if (this.store.root === null) return;
    if (this.#selected === null || this.#selected.gone || this.store.groups.get(this.#selected.id) !== this.#selected) {
      const path = this.#selected?.path;
      this.#selected = this.#find(path) ?? this.store.root;
      this.detail.show(this.#selected);
    }
    const order = this.#order();
    this.rows.items = order;
    markSorted(this.head, COLUMNS, this.#sort);
    this.rows.render();
    const total = this.store.groups.size;
    setText(this.countText, order.length === total ? f.count(total) + " groups"
      : f.count(order.length) + " of " + f.count(total));
    this.empty.hidden = order.length > 0;
    setText(this.empty, "No group matches. Clear the filter to see all.");
    this.detail.update();
  }

  #matches(g) {
    if (this.#filter !== "" && !visible(g.path).toLowerCase().includes(this.#filter)) return false;
    switch (this.#only) {
      case "over": return s.stateOf(g) !== "ok";
      case "stalled": return g.f[s.SOME10] > 0;
      case "refused": return g.f[s.EV_MAX] > 0;
      default: return true;
    }
  }

  #order() {
    if (this.#flat || this.#filter !== "" || this.#only !== "all") {
      return sorted([...this.store.groups.values()].filter((g) => this.#matches(g)), COLUMNS, this.#sort);
    }
    const order = [];
    const visit = (g) => {
      order.push(g);
      if (g.children.length === 0 || this.#collapsed.has(g.path)) return;
      const children = g.children.length === 1 ? g.children : sorted(g.children, COLUMNS, this.#sort);
      for (const child of children) visit(child);
    };
    visit(this.store.root);
    return order;
  }

  #isTree() {
    return !this.#flat && this.#filter === "" && this.#only === "all";
  }

  // ---- one row

  #makeRow() {
    const twist = h("span", { className: "twist", "@aria-hidden": "true" });
    const name = h("bdi", {});
    const meter = h("span", { className: "meter" }, h("span", { className: "fill" }), h("span", { className: "tick" }));
    const cells = COLUMNS.slice(2).map((c) => h("span", { className: "num " + c.key, "@role": "gridcell" }));
    const row = h("div", { className: "row", "@role": "row", onclick: (e) => this.#click(row.group, e) },
      h("span", { className: "name", "@role": "rowheader" }, twist, name),
      h("span", { className: "bar", "@role": "gridcell" }, meter), ...cells);
    row.parts = { twist, name, meter, fill: meter.firstChild, tick: meter.lastChild, cells };
    return row;
  }

  #fillRow(row, g, index) {
    const p = row.parts;
    const tree = this.#isTree();
    if (row.group !== g || row.tree !== tree) {
      row.group = g;
      row.tree = tree;
      setText(p.name, tree ? (g.parent ? visible(g.name) : "/") : visible(g.path));
      row.title = visible(g.path).slice(0, 2000);
      row.firstChild.style.paddingLeft = (tree ? Math.min(g.depth, MAX_INDENT) * INDENT : 0) + 6 + "px";
      row.setAttribute("aria-level", g.depth + 1);
    }
    const open = !this.#collapsed.has(g.path);
    const hasChildren = tree && g.children.length > 0;
    setText(p.twist, hasChildren ? (open ? "▾" : "▸") : "");
    if (hasChildren) row.setAttribute("aria-expanded", String(open));
    else row.removeAttribute("aria-expanded");
    const selected = g === this.#selected;
    row.setAttribute("aria-selected", String(selected));
    setClass(row, "row " + s.stateOf(g) + (selected ? " selected" : "") + (index % 2 ? " odd" : ""));
    this.#fillMeter(p, g);
    const v = g.f;
    const texts = [
      f.bytes(v[s.USAGE]), f.rate(g.rate), g.parent ? f.percent(share(g)) : "", f.limit(v[s.HIGH]), f.limit(v[s.MAX]),
      v[s.SOME10] === 0 ? "" : f.pressure(v[s.SOME10]), countOrNothing(v[s.EV_HIGH]), countOrNothing(v[s.EV_MAX]), countOrNothing(v[s.EV_OOM]),
    ];
    texts.forEach((text, i) => setText(p.cells[i], text));
    p.cells[3].classList.toggle("none", v[s.HIGH] < 0);
    p.cells[4].classList.toggle("none", v[s.MAX] < 0);
    p.cells[5].classList.toggle("hot", v[s.SOME10] >= 5);
  }

  #fillMeter(p, g) {
    const ceiling = s.ceiling(g);
    const high = g.f[s.HIGH];
    // Without a limit the bar is the share of the parent, in a colour of its own.
    const part = ceiling > 0 ? g.f[s.USAGE] / ceiling : share(g);
    p.fill.style.transform = `scaleX(${Math.min(1, part || 0).toFixed(4)})`;
    setClass(p.meter, "meter" + (ceiling > 0 ? "" : " unlimited"));
    p.tick.hidden = !(ceiling > 0 && high >= 0 && high < ceiling);
    if (!p.tick.hidden) p.tick.style.left = ((100 * high) / ceiling).toFixed(2) + "%";
  }

  // ---- selection

  #click(g, event) {
    this.select(g);
    if (event.target.classList.contains("twist")) this.#toggle(g);
  }

  #toggle(g) {
    if (!this.#collapsed.delete(g.path)) this.#collapsed.add(g.path);
    this.#touch(false);
  }

  select(g) {
    this.#selected = g;
    this.detail.show(g);
    this.update();
  }

  #selectPath(path) {
    const g = this.#find(path);
    if (g) this.select(g);
  }

  #find(path) {
    if (path === undefined) return null;
    for (const g of this.store.groups.values()) {
      if (g.path === path) return g;
    }
    return null;
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const items = this.rows.items;
    const at = items.indexOf(this.#selected);
    const page = Math.max(1, Math.floor(this.scroller.clientHeight / 26) - 1);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1, PageDown: at + page, PageUp: at - page }[event.key];
    const g = this.#selected;
    if (to !== undefined && items.length > 0) {
      const index = Math.min(items.length - 1, Math.max(0, to));
      this.select(items[index]);
      this.rows.reveal(index);
    } else if (event.key === "ArrowRight" && g && this.#collapsed.has(g.path)) {
      this.#toggle(g);
    } else if (event.key === "ArrowLeft" && g) {
      if (g.children.length > 0 && !this.#collapsed.has(g.path) && this.#isTree()) this.#toggle(g);
      else if (g.parent) this.select(g.parent);
    } else if (event.key === "Enter") {
      this.detail.focusLimits();
    } else {
      return;
    }
    event.preventDefault();
  }

  focusFilter() {
    this.filterBox.focus();
    this.filterBox.select();
  }

  focus() {
    this.scroller.focus();
  }
}

const countOrNothing = (value) => (value === 0 ? "" : f.count(value));
