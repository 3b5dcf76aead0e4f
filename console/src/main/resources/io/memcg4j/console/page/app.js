// Puts the views together, feeds them from the stream, and knows the keys.

import { h, setText, visible } from "./dom.js";
import * as f from "./format.js";
import { Store, USAGE, MAX, EV_MAX, SOME10 } from "./store.js";
import { takeToken, setToken, canWrite, getJson, stream } from "./server.js";
import { Groups } from "./groups.js";
import { Slabs } from "./slabs.js";
import { Leaks } from "./leaks.js";
import { Sites } from "./sites.js";
import { Events } from "./events.js";

const KEYS = [["1 … 5", "views"], ["/", "filter groups"], ["↑ ↓ PgUp PgDn Home End", "move"], ["← →", "close, open, to the parent"],
  ["Enter", "to the limits of the group; again: set"], ["Esc", "undo an edit, leave a field"], ["t", "tree or flat list"], ["e  c", "open all, close all"],
  ["p", "pause the events"], ["d", "dark or light"], ["?", "this"]];
const TIMINGS = 120;

const $ = (id) => document.getElementById(id);

const store = new Store();
takeToken();
const groups = new Groups(store);
const VIEWS = [["groups", "Groups", groups], ["slabs", "Slabs", new Slabs()], ["leaks", "Leaks", new Leaks()],
  ["sites", "Call sites", new Sites()], ["events", "Events", new Events()]];
let current = null;
let previousRefused = null;

// Milliseconds of the newest updates, from the message to the finished layout.
const timings = [];
window.memcg4j = { timings, store };

function show(key) {
  const view = VIEWS.find(([name]) => name === key) ?? VIEWS[0];
  current = view[2];
  $("main").replaceChildren(current.element);
  for (const tab of $("tabs").children) {
    const selected = tab.id === "tab-" + view[0];
    tab.setAttribute("aria-selected", String(selected));
    tab.tabIndex = selected ? 0 : -1;
  }
  sessionStorage.setItem("view", view[0]);
  if (current.shown) current.shown();
  else current.update();
}

$("tabs").append(...VIEWS.map(([key, label], i) => h("button", {
  type: "button", id: "tab-" + key, "@role": "tab", title: `${label} (${i + 1})`, onclick: () => show(key),
}, label)));
$("tabs").addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (step === undefined) return;
  const tabs = [...$("tabs").children];
  const at = tabs.findIndex((tab) => tab.getAttribute("aria-selected") === "true");
  const next = (at + step + tabs.length) % tabs.length;
  tabs[next].click();
  tabs[next].focus();
});

// ---- the stream

function onMessage(event, text) {
  const began = performance.now();
  store.apply(event, JSON.parse(text));
  if (document.hidden) return;
  totals();
  current.update();
  document.body.offsetHeight; // the layout belongs to the update that made it necessary
  timings.push(performance.now() - began);
  if (timings.length > TIMINGS) timings.shift();
}

function onState(state, error) {
  const status = $("status");
  const needsToken = error?.status === 401;
  status.className = "status " + (needsToken ? "bad" : state);
  setText(status, needsToken ? "token needed" : state);
  status.title = error ? error.message : "";
  document.body.classList.toggle("stale", state !== "live");
}

function totals() {
  const root = store.root;
  if (root === null) return;
  const refused = root.f[EV_MAX];
  const perSecond = previousRefused === null ? 0 : Math.max(0, (refused - previousRefused) * 1000 / store.periodMillis);
  previousRefused = refused;
  const parts = [["usage", f.bytes(root.f[USAGE])], ["of", root.f[MAX] < 0 ? "no limit" : f.bytes(root.f[MAX])],
    ["groups", f.count(store.groups.size)], ["pressure", f.pressure(root.f[SOME10]) + " %"], ["at max", perSecond.toFixed(perSecond < 10 ? 1 : 0) + "/s"]];
  if (store.lost > 0) parts.push(["lost", String(store.lost)]);
  const box = $("totals");
  if (box.children.length !== parts.length) {
    box.replaceChildren(...parts.map(() => h("span", {}, h("span", { className: "muted" }), h("b", { className: "num" }))));
  }
  parts.forEach(([label, value], i) => {
    setText(box.children[i].firstChild, label);
    setText(box.children[i].lastChild, value);
  });
}

// ---- token, theme, keys

function accessChanged() {
  const button = $("access");
  button.className = canWrite() ? "writes" : "reads";
  setText(button, canWrite() ? "can write" : "read-only");
  button.title = canWrite() ? "Forget the token" : "Give the token, to set limits and to scan";
  if (store.root !== null) current.update();
}

$("access").addEventListener("click", () => {
  if (canWrite()) {
    setToken(null);
    accessChanged();
    return;
  }
  const input = h("input", { type: "password", "@aria-label": "Token", "@autocomplete": "off", size: 48 });
  const dialog = $("token");
  dialog.replaceChildren(h("h2", {}, "Token"),
    h("p", {}, "The console wrote it when it started: Console.page() has it, and so has the private file of this JVM."), input,
    h("div", { className: "bar-tools" },
      h("button", { type: "button", className: "primary", onclick: () => { setToken(input.value.trim()); dialog.close(); accessChanged(); } }, "Use"),
      h("button", { type: "button", onclick: () => dialog.close() }, "Cancel")));
  input.addEventListener("keydown", (e) => { 
    if (e.key !== "Enter") return;
    e.preventDefault(); // the dialog gives the focus back to the button that opened it
    dialog.querySelector(".primary").click();
  });
  dialog.showModal();
});

function applyTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  groups.detail.plots.restyle();
}

function switchTheme() {
  const dark = document.documentElement.dataset.theme
    ? document.documentElement.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  localStorage.setItem("theme", dark ? "light" : "dark");
  applyTheme(dark ? "light" : "dark");
}

$("theme").addEventListener("click", switchTheme);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => groups.detail.plots.restyle());

function showKeys() {
  $("keys").replaceChildren(h("h2", {}, "Keys"),
    h("dl", { className: "keys" }, ...KEYS.flatMap(([key, what]) => [h("dt", {}, key), h("dd", {}, what)])),
    h("button", { type: "button", onclick: () => $("keys").close() }, "Close"));
  $("keys").showModal();
}

$("help").addEventListener("click", showKeys);

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.target.matches("input, select, textarea")) {
    if (event.key === "Escape") groups.focus();
    return;
  }
  const number = Number(event.key);
  if (number >= 1 && number <= VIEWS.length) show(VIEWS[number - 1][0]);
  else if (event.key === "/") { show("groups"); groups.focusFilter(); }
  else if (event.key === "t") groups.toggleFlat();
  else if (event.key === "e") groups.expandAll();
  else if (event.key === "c") groups.collapseAll();
  else if (event.key === "p") VIEWS[4][2].togglePause();
  else if (event.key === "d") switchTheme();
  else if (event.key === "?") showKeys();
  else return;
  event.preventDefault();
});

document.addEventListener("visibilitychange", () => {
  if (!document.hidden && store.root !== null) current.update();
});

async function about() {
  try {
    const jvm = await getJson("/about");
    setText($("jvm"), `${visible(jvm.name.slice(jvm.name.lastIndexOf(".") + 1) || jvm.name)}  pid ${jvm.pid}`);
    $("jvm").title = `${jvm.java}, heap ${f.bytes(jvm.heapUsed)} of ${f.bytes(jvm.heapMax)}, console up ${f.seconds((jvm.now - jvm.started) / 1000)}`;
    document.title = visible(jvm.name) + " – memcg4j";
  } catch {
    setText($("jvm"), "");
  }
}

const theme = localStorage.getItem("theme");
if (theme) document.documentElement.dataset.theme = theme;
show(sessionStorage.getItem("view"));
accessChanged();
about();
stream("/live", onMessage, (state, error) => {
  if (state === "live") about();
  onState(state, error);
});
