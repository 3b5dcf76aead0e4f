// A plain table of some hundred rows that is filled anew: caches, areas, leaks, call sites.

import { h, setText } from "./dom.js";
import { heads, markSorted, sorted } from "./rows.js";

export class Table {
  #items = [];
  #selected = null;

  /** Columns: key, label, align, title, value(item), text(item) or node(item). */
  constructor(label, className, columns, sort, onSelect = null) {
    this.columns = columns;
    this.sort = sort;
    this.onSelect = onSelect;
    this.head = h("div", { className: "row head-row", "@role": "row" }, ...heads(columns, sort, () => this.#fill()));
    this.body = h("div", { className: "body", "@role": "rowgroup", tabIndex: onSelect ? 0 : -1, onkeydown: (e) => this.#key(e) });
    this.empty = h("div", { className: "empty", hidden: true });
    this.element = h("div", { className: "table " + className, "@role": "table", "@aria-label": label }, this.head, this.body, this.empty);
  }

  set(items, emptyText) {
    this.#items = items;
    setText(this.empty, emptyText);
    this.#fill();
  }

  #fill() {
    markSorted(this.head, this.columns, this.sort);
    const items = sorted([...this.#items], this.columns, this.sort);
    this.shown = items;
    while (this.body.children.length > items.length) this.body.lastChild.remove();
    items.forEach((item, i) => {
      let row = this.body.children[i];
      if (!row) {
        row = h("div", { className: "row", "@role": "row", onclick: () => this.select(row.item) },
          ...this.columns.map((c) => h("span", { className: (c.align ?? "num") + " " + c.key, "@role": "cell" })));
        this.body.append(row);
      }
      row.item = item;
      row.classList.toggle("selected", item.key !== undefined && item.key === this.#selected);
      this.columns.forEach((column, at) => {
        const cell = row.children[at];
        if (column.fill) column.fill(cell, item);
        else {
          const text = column.text(item);
          setText(cell, text);
          if (column.align === "text") cell.title = text.slice(0, 2000);
        }
      });
    });
    this.empty.hidden = items.length > 0;
  }

  select(item) {
    if (!this.onSelect || item === undefined) return;
    this.#selected = item.key;
    for (const row of this.body.children) row.classList.toggle("selected", row.item.key === item.key);
    this.onSelect(item);
  }

  #key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step === undefined || !this.onSelect || this.shown.length === 0) return;
    const at = this.shown.findIndex((item) => item.key === this.#selected);
    const next = Math.min(this.shown.length - 1, Math.max(0, at + step));
    this.select(this.shown[next]);
    this.body.children[next].scrollIntoView({ block: "nearest" });
    event.preventDefault();
  }
}

/** A horizontal bar of parts: [name, bytes, class]. */
export function stack(parts, format) {
  const total = parts.reduce((sum, [, value]) => sum + value, 0);
  const bar = h("div", { className: "stack" });
  const key = h("div", { className: "stack-key" });
  for (const [name, value, kind] of parts) {
    if (value > 0) {
      const part = h("span", { className: kind, title: name + " " + format(value) });
      part.style.flexGrow = String(value / total);
      bar.append(part);
    }
    key.append(h("span", {}, h("i", { className: kind }), name + " ", h("b", { className: "num" }, format(value))));
  }
  return [bar, key];
}

export function tile(label, value, note = "") {
  return h("div", { className: "tile" }, h("span", { className: "muted" }, label), h("b", { className: "num" }, value),
    h("span", { className: "muted note" }, note));
}

export function failure(error) {
  return h("p", { className: "message bad" }, "Not available: " + error.message);
}
