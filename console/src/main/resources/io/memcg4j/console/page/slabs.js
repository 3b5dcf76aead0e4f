// What the allocator holds: in use, parked, free, mapped; its caches; its large areas.

import { h, visible } from "./dom.js";
import * as f from "./format.js";
import { getJson } from "./server.js";
import { Table, failure, stack, tile } from "./table.js";

const EVERY = 2000;
const active = (c) => c.activeObjects * c.objectSize;
const free = (c) => c.freeInSlabs * c.objectSize;
const used = (c) => (c.mappedBytes === 0 ? 0 : active(c) / c.mappedBytes);

const CACHES = [
  { key: "name", label: "Cache", align: "text", value: (c) => c.name, text: (c) => visible(c.name) },
  { key: "size", label: "Object", value: (c) => c.objectSize, text: (c) => f.bytes(c.objectSize), title: "Bytes from one object to the next" },
  { key: "objects", label: "Objects", value: (c) => c.activeObjects, text: (c) => f.count(c.activeObjects), title: "Allocated objects" },
  { key: "inuse", label: "In use", value: active, text: (c) => f.bytes(active(c)) },
  { key: "parked", label: "Parked", value: (c) => c.parkedBytes, text: (c) => f.bytes(c.parkedBytes), title: "Kept ready by slots" },
  { key: "free", label: "Free", value: free, text: (c) => f.bytes(free(c)), title: "Free in slabs that hold others" },
  { key: "mapped", label: "Mapped", value: (c) => c.mappedBytes, text: (c) => f.bytes(c.mappedBytes) },
  { key: "used", label: "Used part", align: "text", value: used, fill: fillUsed, title: "In use of mapped" },
  { key: "slabs", label: "Slabs", value: (c) => c.slabs, text: (c) => f.count(c.slabs) },
  { key: "deferred", label: "Deferred", value: (c) => c.nrDeferred, text: (c) => (c.nrDeferred === 0 ? "" : f.count(c.nrDeferred)), title: "Freed, waiting for readers" },
];

const AREAS = [
  { key: "address", label: "Address", align: "text", value: (a) => a.address, text: (a) => a.address },
  { key: "bytes", label: "Size", value: (a) => a.nrBytes, text: (a) => f.bytes(a.nrBytes) },
  { key: "group", label: "Group", align: "text", value: (a) => a.group, text: (a) => visible(a.group) },
  { key: "caller", label: "Allocated at", align: "text", value: (a) => a.caller, text: (a) => visible(a.caller || "–") },
];

function fillUsed(cell, cache) {
  if (cell.firstChild === null) {
    cell.append(h("span", { className: "meter" }, h("span", { className: "fill" })), h("span", { className: "num" }));
  }
  cell.firstChild.firstChild.style.transform = `scaleX(${used(cache).toFixed(4)})`;
  cell.lastChild.textContent = f.percent(used(cache));
}

export class Slabs {
  #asked = 0;

  constructor() {
    this.tiles = h("div", { className: "tiles" });
    this.bar = h("div", { className: "kinds" });
    this.caches = new Table("Caches", "caches", CACHES, { key: "mapped", down: true });
    this.areas = new Table("Large areas", "areas", AREAS, { key: "bytes", down: true });
    this.areaNote = h("span", { className: "muted" });
    this.error = h("div", {});
    this.element = h("section", { className: "page" }, this.error, this.tiles, this.bar,
      h("h2", {}, "Caches"), this.caches.element, h("h2", {}, "Large areas ", this.areaNote), this.areas.element);
  }

  async update() {
    if (Date.now() - this.#asked < EVERY) return;
    this.#asked = Date.now();
    try {
      const [stat, areas] = await Promise.all([getJson("/stat"), getJson("/vmallocinfo")]);
      this.error.replaceChildren();
      this.#fill(stat, areas);
    } catch (error) {
      this.error.replaceChildren(failure(error));
    }
  }

  #fill(stat, areas) {
    this.tiles.replaceChildren(
      tile("Mapped", f.bytes(stat.mappedBytes), "peak " + f.bytes(stat.peakMappedBytes)),
      tile("In use", f.bytes(stat.inUseBytes), f.count(stat.nrObjects) + " objects"),
      tile("Parked", f.bytes(stat.parkedBytes), "kept ready by slots"),
      tile("Large objects", f.bytes(stat.largeBytes), f.count(stat.nrLarge)),
      tile("Fragmentation", f.percent(stat.fragmentation), "mapped, not in use"),
      tile("Areas", f.bytes(stat.vmalloc.usedBytes), f.count(stat.vmalloc.nrAreas) + ", freed " + f.bytes(stat.vmalloc.lazyBytes)),
      tile("Bad frees", f.count(stat.nrBadFrees), "found after the fact"));
    this.bar.replaceChildren(...stack([
      ["in use", stat.inUseBytes, "kind-slab"], ["parked", stat.parkedBytes, "kind-percpu"],
      ["free in slabs", stat.freeInSlabsBytes, "kind-sock"], ["retained", stat.retainedBytes, "kind-foreign"],
    ], f.bytes));
    const held = stat.caches.filter((c) => c.mappedBytes > 0 || c.activeObjects > 0);
    this.caches.set(held, "No cache holds memory yet.");
    this.areas.set(areas.areas, "No large area is allocated.");
    this.areaNote.textContent = areas.nrAreas > areas.areas.length
      ? `the first ${f.count(areas.areas.length)} of ${f.count(areas.nrAreas)}` : "";
  }

  shown() {
    this.#asked = 0;
    this.update();
  }
}
