// A table of which only the visible rows exist: 10 000 rows cost what 40 do.

import { h } from "./dom.js";

const ROW_HEIGHT = 26;
const SPARE = 6;

export class Rows {
  #items = [];
  #pool = [];
  #first = -1;

  /** makeRow() gives an element; fillRow(element, item, index) shows an item in it. */
  constructor(scroller, makeRow, fillRow) {
    this.scroller = scroller;
    this.makeRow = makeRow;
    this.fillRow = fillRow;
    this.space = h("div", { className: "rows-space", "@role": "presentation" });
    this.window = h("div", { className: "rows-window", "@role": "rowgroup" });
    this.space.append(this.window);
    scroller.append(this.space);
    scroller.addEventListener("scroll", () => this.render(), { passive: true });
    new ResizeObserver(() => this.render()).observe(scroller);
  }

  set items(items) {
    this.#items = items;
    const height = items.length * ROW_HEIGHT + "px";
    if (this.space.style.height !== height) this.space.style.height = height;
  }

  get items() {
    return this.#items;
  }

  render() {
    const top = Math.max(0, this.scroller.scrollTop);
    const first = Math.max(0, Math.floor(top / ROW_HEIGHT) - SPARE);
    const wanted = Math.ceil(this.scroller.clientHeight / ROW_HEIGHT) + 2 * SPARE;
    const count = Math.max(0, Math.min(wanted, this.#items.length - first));
    while (this.#pool.length < count) {
      const row = this.makeRow();
      this.#pool.push(row);
      this.window.append(row);
    }
    if (first !== this.#first) {
      this.window.style.transform = `translateY(${first * ROW_HEIGHT}px)`;
      this.#first = first;
    }
    for (let i = 0; i < this.#pool.length; i++) {
      const row = this.#pool[i];
      row.hidden = i >= count;
      if (i < count) this.fillRow(row, this.#items[first + i], first + i);
    }
  }

  reveal(index) {
    const top = index * ROW_HEIGHT;
    const bottom = top + ROW_HEIGHT;
    if (top < this.scroller.scrollTop) this.scroller.scrollTop = top;
    else if (bottom > this.scroller.scrollTop + this.scroller.clientHeight) {
      this.scroller.scrollTop = bottom - this.scroller.clientHeight;
    }
    this.render();
  }
}

/** Heads of columns; a click sorts, a second one turns the order round. */
export function heads(columns, sort, onSort) {
  return columns.map((column) => {
    const button = h("button", {
      type: "button", className: "head " + (column.align ?? "num"), title: column.title ?? "",
      onclick: () => {
        sort.down = sort.key === column.key ? !sort.down : column.align !== "text";
        sort.key = column.key;
        onSort();
      },
    }, column.label);
    return h("div", { className: "cell-head " + column.key, "@role": "columnheader" }, button);
  });
}

export function markSorted(headRow, columns, sort) {
  columns.forEach((column, i) => {
    const sorted = sort.key === column.key;
    headRow.children[i].setAttribute(
      "aria-sort", sorted ? (sort.down ? "descending" : "ascending") : "none");
  });
}

/** Puts items in order by a column's value; equal ones stay as they are. */
export function sorted(items, columns, sort) {
  const column = columns.find((c) => c.key === sort.key) ?? columns[0];
  const sign = sort.down ? -1 : 1;
  for (const item of items) item.sortedBy = column.value(item);
  return items.sort((a, b) => (a.sortedBy === b.sortedBy ? 0 : a.sortedBy < b.sortedBy ? -sign : sign));
}
