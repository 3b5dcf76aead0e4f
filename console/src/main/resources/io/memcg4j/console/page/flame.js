// Stacks with bytes as a flame graph or as a tree of calls. From the outermost frame down.

import { h, visible } from "./dom.js";
import { bytes, percent } from "./format.js";

const ROW = 19;
const LEAST_SHARE = 0.002;
const HUES = 7;

/** stacks: [{frames, innermost first; bytes; count; leaf}] */
export function treeOf(stacks) {
  const root = { name: "all", bytes: 0, count: 0, children: new Map(), parent: null, depth: 0 };
  for (const stack of stacks) {
    let at = root;
    at.bytes += stack.bytes;
    at.count += stack.count;
    const names = [...stack.frames].reverse();
    if (stack.leaf) names.push(stack.leaf);
    for (const name of names) {
      let child = at.children.get(name);
      if (!child) {
        child = { name, bytes: 0, count: 0, children: new Map(), parent: at, depth: at.depth + 1 };
        at.children.set(name, child);
      }
      child.bytes += stack.bytes;
      child.count += stack.count;
      at = child;
    }
  }
  return root;
}

/** app//io.memcg4j.x.Foo.bar(Foo.java:12) as Foo.bar:12. */
export function shortFrame(frame) {
  const found = /([\p{L}\p{N}_$]+\.[\p{L}\p{N}_$<>]+)\((?:[^:()]*)(:\d+)?\)$/u.exec(frame);
  return found ? found[1] + (found[2] ?? "") : visible(frame);
}

const byBytes = (node) => [...node.children.values()].sort((a, b) => b.bytes - a.bytes);

function hue(name) {
  let hash = 0;
  const upTo = name.indexOf("(");
  for (let i = 0; i < (upTo > 0 ? upTo : name.length); i++) hash = (hash * 31 + name.charCodeAt(i)) | 0;
  return "hue-" + (Math.abs(hash) % HUES);
}

export class Flame {
  #root = null;
  #focus = null;
  #open = new Set();

  constructor(label) {
    this.kind = "flame";
    this.toggle = h("button", { type: "button", title: "Flame graph or tree of calls", onclick: () => this.#switch() }, "Call tree");
    this.reset = h("button", { type: "button", hidden: true, onclick: () => this.#zoom(this.#root) }, "Whole");
    this.info = h("span", { className: "muted num flame-info" });
    this.view = h("div", { className: "flame", "@role": "tree", "@aria-label": label });
    this.element = h("div", { className: "flame-box" },
      h("div", { className: "bar-tools" }, this.toggle, this.reset, this.info), this.view);
  }

  set(stacks, emptyText) {
    const path = this.#focus ? pathOf(this.#focus) : [];
    this.#root = treeOf(stacks);
    this.#focus = path.reduce((at, name) => at?.children.get(name), this.#root) ?? this.#root;
    this.emptyText = emptyText;
    this.#draw();
  }

  #switch() {
    this.kind = this.kind === "flame" ? "tree" : "flame";
    this.toggle.textContent = this.kind === "flame" ? "Call tree" : "Flame graph";
    this.#draw();
  }

  #zoom(node) {
    this.#focus = node;
    this.#draw();
  }

  #draw() {
    const focus = this.#focus;
    this.reset.hidden = focus === this.#root;
    this.#tell(focus);
    if (this.#root.bytes === 0) {
      this.view.style.height = "";
      this.view.className = "flame";
      this.view.replaceChildren(h("div", { className: "empty" }, this.emptyText));
      return;
    }
    if (this.kind === "tree") this.#drawTree(focus);
    else this.#drawFlame(focus);
  }

  #tell(node) {
    this.info.textContent = node.bytes === 0 ? ""
      : `${node.parent ? shortFrame(node.name) : "all"}  ${bytes(node.bytes)}  ${node.count} blocks  ${percent(node.bytes / this.#root.bytes)}`;
  }

  #drawFlame(focus) {
    const boxes = [];
    let deepest = 0;
    const ancestors = [];
    for (let at = focus.parent; at; at = at.parent) ancestors.unshift(at);
    ancestors.forEach((node, depth) => boxes.push(this.#box(node, depth, 0, 1, "above")));
    const place = (node, depth, left, width) => {
      if (width < LEAST_SHARE) return;
      deepest = Math.max(deepest, depth);
      boxes.push(this.#box(node, depth, left, width, node.parent ? hue(node.name) : "base"));
      let at = left;
      for (const child of byBytes(node)) {
        const part = (child.bytes / node.bytes) * width;
        place(child, depth + 1, at, part);
        at += part;
      }
    };
    place(focus, ancestors.length, 0, 1);
    this.view.className = "flame";
    this.view.style.height = (deepest + 1) * ROW + 2 + "px";
    this.view.replaceChildren(...boxes);
  }

  #box(node, depth, left, width, kind) {
    const box = h("button", {
      type: "button", className: "box " + kind, title: `${visible(node.name)}\n${bytes(node.bytes)}, ${node.count} blocks`.slice(0, 2000),
      "@role": "treeitem", onclick: () => this.#zoom(node), onmouseenter: () => this.#tell(node), onmouseleave: () => this.#tell(this.#focus),
    }, node.parent ? shortFrame(node.name) : "all");
    box.style.top = depth * ROW + "px";
    box.style.left = left * 100 + "%";
    box.style.width = `max(2px, calc(${width * 100}% - 1px))`;
    return box;
  }

  #drawTree(focus) {
    const rows = [];
    const place = (node, depth, key) => {
      const children = byBytes(node);
      // A chain without a choice is open; where stacks part, the reader opens.
      const open = this.#open.has(key) !== (children.length <= 1 || depth < 3);
      rows.push(h("div", {
        className: "row", "@role": "treeitem", "@aria-expanded": children.length ? String(open) : null, tabIndex: -1,
        onclick: () => { if (!this.#open.delete(key)) this.#open.add(key); this.#draw(); },
      }, h("span", { className: "num" }, bytes(node.bytes)), h("span", { className: "num" }, percent(node.bytes / this.#root.bytes)),
      h("span", { className: "num" }, String(node.count)), frameCell(node, depth, children.length === 0 ? "" : open ? "▾" : "▸")));
      if (open) children.forEach((child) => place(child, depth + 1, key + "\n" + child.name));
    };
    place(focus, 0, "");
    this.view.className = "flame call-tree";
    this.view.style.height = "";
    this.view.replaceChildren(...rows);
  }
}

function frameCell(node, depth, twist) {
  const cell = h("span", { className: "text", title: visible(node.name).slice(0, 2000) },
    h("span", { className: "twist" }, twist), node.parent ? shortFrame(node.name) : "all");
  cell.style.paddingLeft = Math.min(depth, 30) * 12 + "px";
  return cell;
}

function pathOf(node) {
  const path = [];
  for (let at = node; at.parent; at = at.parent) path.unshift(at.name);
  return path;
}
