// 15 minutes of one group: usage with its limits, pressure, events. uPlot draws, this feeds it.

import { h } from "./dom.js";
import { bytes } from "./format.js";
import { USAGE, HIGH, MAX, EV_HIGH, EV_MAX, SOME10, FULL10 } from "./store.js";

const MAX_POINTS = 900;
const HEIGHT = 128;
const SMALL = 92;

const POWERS = Array.from({ length: 52 }, (_, i) => 2 ** i);
const LEAST_SECONDS = 60;

const clockOf = (t) => new Date(t * 1000).toTimeString().slice(0, 8);

/** At least a minute, so that the first points are not stretched over the whole width. */
const window = (_, min, max) => {
  const end = max ?? Date.now() / 1000;
  return [Math.min(min ?? end, end - LEAST_SECONDS), end];
};

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function line(label, stroke, extra = {}) {
  return { label, stroke: css(stroke), width: 1.5, points: { show: false }, ...extra };
}

function options(title, width, height, series, format, axisFormat, range) {
  const grid = { stroke: css("--grid"), width: 1 };
  const font = "11px " + css("--font");
  const axis = { stroke: css("--muted"), grid, ticks: { show: false }, font };
  return {
    width, height, cursor: { sync: { key: "group" }, drag: { x: false, y: false }, points: { size: 5 } },
    legend: { live: true, markers: { width: 2 } },
    scales: { x: { time: true, range: window }, y: { range } },
    axes: [
      { ...axis, size: 24, gap: 6, space: 56, values: (_, ticks, __, ___, step) => ticks.map((t) => clockOf(t).slice(0, step < 60 ? 8 : 5)) },
      { ...axis, size: 54, gap: 4, space: 26, values: (_, ticks) => ticks.map(axisFormat), ...(axisFormat === bytes ? { incrs: POWERS } : {}) },
    ],
    series: [{ value: (_, t) => (t ? clockOf(t) : "") },
      ...series.map((one) => ({ value: (plot, v, at, i) => {
        const shown = i === null || i === undefined ? plot.data[at].at(-1) : v; // without a cursor the newest
        return shown === null || shown === undefined ? "–" : format(shown);
      }, ...one }))],
  };
}

/** From zero, with room above: also where all is zero. */
const fromZero = (least) => (_, min, max) => [0, Math.max(least, (max || 0) * 1.08)];

export class Plots {
  constructor() {
    this.usageBox = h("div", { className: "plot", "@role": "img", "@aria-label": "Usage in the last 15 minutes" });
    this.pressureBox = h("div", { className: "plot", "@role": "img", "@aria-label": "Pressure in the last 15 minutes" });
    this.eventBox = h("div", { className: "plot", "@role": "img", "@aria-label": "Events in the last 15 minutes" });
    this.element = h("div", { className: "plots" },
      h("h3", {}, "Usage"), this.usageBox,
      h("h3", {}, "Pressure ", h("span", { className: "muted" }, "% of time, avg10")), this.pressureBox,
      h("h3", {}, "Events ", h("span", { className: "muted" }, "per second")), this.eventBox);
    this.charts = [];
    this.clear();
    new ResizeObserver(() => this.#resize()).observe(this.element);
  }

  clear() {
    this.t = [];
    this.columns = { usage: [], high: [], max: [], some10: [], full10: [], eventsHigh: [], eventsMax: [] };
    this.#draw();
  }

  /** What the server has kept; what came in the meantime is behind it. */
  load(history) {
    const first = this.t[0] ?? Infinity;
    let keep = 0;
    while (keep < history.t.length && history.t[keep] / 1000 < first) keep++;
    this.t = history.t.slice(0, keep).map((t) => t / 1000).concat(this.t);
    for (const name of Object.keys(this.columns)) {
      this.columns[name] = history[name].slice(0, keep).concat(this.columns[name]);
    }
    this.#trim();
    this.#draw();
  }

  add(timeMillis, group) {
    if (this.t.length > 0 && timeMillis / 1000 <= this.t[this.t.length - 1]) return;
    const v = group.f;
    const c = this.columns;
    this.t.push(timeMillis / 1000);
    c.usage.push(v[USAGE]);
    c.high.push(v[HIGH]);
    c.max.push(v[MAX]);
    c.some10.push(v[SOME10]);
    c.full10.push(v[FULL10]);
    c.eventsHigh.push(v[EV_HIGH]);
    c.eventsMax.push(v[EV_MAX]);
    this.#trim();
    this.#draw();
  }

  #trim() {
    const extra = this.t.length - MAX_POINTS;
    if (extra <= 0) return;
    this.t.splice(0, extra);
    Object.values(this.columns).forEach((column) => column.splice(0, extra));
  }

  #draw() {
    if (!this.element.isConnected || this.element.clientWidth === 0) return;
    if (this.charts.length === 0) this.#make();
    const c = this.columns;
    // A limit far above the usage would press that flat: it is shown once it is near.
    const top = c.usage.reduce((most, v) => Math.max(most, v), 1) * 3;
    const near = (values) => values.map((v) => (v >= 0 && v <= top ? v : null));
    this.charts[0].setData([this.t, c.usage, near(c.high), near(c.max)]);
    this.charts[1].setData([this.t, c.some10, c.full10]);
    this.charts[2].setData([this.t, this.#perSecond(c.eventsHigh), this.#perSecond(c.eventsMax)]);
  }

  #perSecond(counts) {
    return counts.map((count, i) =>
      i === 0 ? 0 : Math.max(0, (count - counts[i - 1]) / Math.max(0.001, this.t[i] - this.t[i - 1])));
  }

  #make() {
    const width = this.element.clientWidth;
    const percent = (v) => v.toFixed(v < 10 ? 1 : 0);
    const empty = (n) => Array.from({ length: n }, () => []);
    this.charts = [
      new uPlot(options("usage", width, HEIGHT, [
        line("usage", "--accent", { fill: css("--accent-soft") }),
        line("high", "--warn", { dash: [4, 4] }), line("max", "--bad", { dash: [4, 4] }),
      ], bytes, bytes, fromZero(4096)), empty(4), this.usageBox),
      new uPlot(options("pressure", width, SMALL, [
        line("some", "--warn", { fill: css("--warn-soft") }), line("full", "--bad", { fill: css("--bad-soft") }),
      ], percent, percent, fromZero(1)), empty(3), this.pressureBox),
      new uPlot(options("events", width, SMALL, [
        line("high", "--warn"), line("max", "--bad"),
      ], percent, percent, fromZero(1)), empty(3), this.eventBox),
    ];
  }

  #resize() {
    const width = this.element.clientWidth;
    if (width === 0) return;
    if (this.charts.length === 0) this.#draw();
    else this.charts.forEach((chart) => {
      if (chart.width !== width) chart.setSize({ width, height: chart.height });
    });
  }

  /** Colours are taken when a chart is made. */
  restyle() {
    this.charts.forEach((chart) => chart.destroy());
    this.charts = [];
    this.#draw();
  }
}
