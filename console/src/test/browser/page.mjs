// The page on a small busy tree: every view, live figures, a limit that is set, names that attack.
// Usage: node page.mjs URI TOKEN FOLDER
import { check, expect, finish, launch, open, until } from "./browser.mjs";

const [uri, token, folder] = process.argv.slice(2);
const browser = await launch();
const page = await open(browser, uri + "#token=" + token);
const shot = (name, at = page) => at.screenshot({ path: `${folder}/${name}.png` });
const row = (text) => page.locator("#groups .row:visible", { has: page.locator("bdi", { hasText: text }) }).first();
const tab = (name) => page.click("#tab-" + name);

await check("the token leaves the address bar and gives the right to write", async () => {
  expect(!page.url().includes("token"), page.url());
  expect((await page.textContent("#access")) === "can write", await page.textContent("#access"));
});

await check("the tree shows groups with bars", async () => {
  await row("acme").waitFor();
  expect((await page.locator("#groups .row:visible").count()) > 5, "rows");
  expect((await page.locator("#status").textContent()) === "live", "not live");
});

await check("figures change while one looks", async () => {
  await page.click("text=Expand");
  const read = () => page.evaluate(() => [...document.querySelectorAll("#groups .usage")].map((e) => e.textContent).join());
  const before = await read();
  for (let i = 0; i < 40 && (await read()) === before; i++) await page.waitForTimeout(100);
  expect((await read()) !== before, "no figure changed in 4 s");
});

await check("a group has plots with data", async () => {
  await row("acme").click();
  await page.waitForSelector(".detail canvas");
  expect((await page.locator(".detail canvas").count()) === 3, "canvases");
  await until(page, () => document.querySelector(".psi tr") !== null);
  await page.waitForTimeout(1500);
});
await shot("groups-dark");

await check("a limit that is set acts", async () => {
  await page.fill("#limit-max", "24M");
  await page.press("#limit-max", "Enter");
  await page.waitForSelector(".message.good");
  const text = await (await fetch(uri + "groups/tenants/acme/memory.max")).text();
  expect(text.trim() === String(24 << 20), text);
  await until(page, () => [...window.memcg4j.store.groups.values()].some((g) => g.path === "/tenants/acme" && g.f[5] === 24 << 20));
  await until(page, () => /24\.0 M/.test([...document.querySelectorAll("#groups .selected")].map((e) => e.textContent).join()));
  return await page.textContent(".detail .message");
});

await check("a limit that is wrong is refused by name, and the field keeps the text", async () => {
  await page.fill("#limit-high", "a lot");
  await page.press("#limit-high", "Enter");
  await page.waitForSelector(".message.bad");
  const text = await page.textContent(".detail .message");
  expect(text.includes("memory.high") && text.includes("a lot"), text);
  expect((await page.inputValue("#limit-high")) === "a lot", "text is gone");
  await page.press("#limit-high", "Escape");
});

await check("filter, sort, flat", async () => {
  await page.keyboard.press("Escape");
  await page.focus("#groups");
  await page.keyboard.press("/");
  await page.keyboard.type("sessions");
  await until(page, () => [...document.querySelectorAll("#groups .row:not([hidden]) bdi")].every((e) => e.textContent.includes("sessions")));
  await page.fill("#filter", "no such group");
  await page.waitForSelector("#groups .empty:visible");
  await page.fill("#filter", "");
  await page.click("text=Collapse");
  await page.click(".groups-table .cell-head.name button");
  expect((await page.getAttribute(".groups-table .cell-head.name", "aria-sort")) === "ascending", "not sorted");
  const names = await page.evaluate(() => [...document.querySelectorAll("#groups .row:not([hidden])")].filter((r) => r.getAttribute("aria-level") === "2").map((r) => r.querySelector("bdi").textContent));
  expect(names.length > 1 && names.join() === [...names].sort().join(), names.join());
  expect(names.length >= 3, names.join());
  await page.click(".groups-table .cell-head.usage button");
  await page.click("text=Expand");
});

await check("keys move through the tree", async () => {
  await page.focus("#groups");
  await page.keyboard.press("Home");
  await page.keyboard.press("ArrowDown");
  const second = await page.textContent("#groups .selected bdi");
  await page.keyboard.press("ArrowLeft");
  expect((await page.getAttribute("#groups .selected", "aria-expanded")) !== "true", "not closed");
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("Home");
  expect((await page.textContent("#groups .selected bdi")) === "/", "not at the root");
  return second;
});

await check("names that attack are text", async () => {
  await page.fill("#filter", "/odd/");
  await page.click(".groups-table .cell-head.name button");
  const names = await page.evaluate(() => [...document.querySelectorAll("#groups .row:not([hidden]) bdi")].map((e) => e.textContent));
  expect(names.some((n) => n.includes("<img src=x onerror=")), names.join("\n"));
  expect((await page.locator("#groups img, .detail img, main script").count()) === 0, "markup from a name");
  expect((await page.evaluate(() => window.attacked)) === undefined, "a script ran");
  for (const name of ["<img src=x", "quotes", "U+202E", "%2e%2e"]) {
    await page.fill("#filter", name.toLowerCase());
    await row(name).click();
    await until(page, (n) => document.querySelector(".detail h2").textContent.includes(n), name);
    expect((await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth)), "the page is wider than the window");
  }
  await shot("hostile");
  await page.fill("#filter", "deep-1-");
  await page.waitForTimeout(400);
  await page.locator("#groups .row:visible").first().click();
  await page.waitForTimeout(1300);
  const title = await page.textContent(".detail h2");
  expect(title.length > 60000, "path of " + title.length);
  expect((await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth)), "the page is wider than the window");
  await page.fill("#limit-low", "8K");
  await page.press("#limit-low", "Enter");
  await until(page, () => document.querySelector(".detail .message").className !== "message ");
  await shot("long-path");
  await page.fill("#filter", "");
  await page.click(".groups-table .cell-head.usage button");
  return `path of ${title.length} characters: ${(await page.textContent(".detail .message")).slice(0, 80)}`;
});

await check("slabs: caches, parts, areas", async () => {
  await tab("slabs");
  await page.waitForSelector(".caches .body .row");
  expect((await page.textContent(".tiles")).includes("Fragmentation"), "tiles");
  expect((await page.locator(".areas .body .row").count()) > 0, "no area");
  await shot("slabs-dark");
});

await check("leaks: scan, list, call stack, flame graph", async () => {
  await tab("sites");
  await page.click(".page button:has-text('Exact')");
  await until(page, () => document.querySelector("[aria-pressed=true]")?.textContent === "Exact");
  await page.waitForTimeout(1500);
  await tab("leaks");
  for (let i = 0; i < 4; i++) {
    await page.click("text=Scan now");
    await until(page, () => /scan: done|bad/.test(document.querySelector(".page .message").textContent), null, 60000);
    await page.waitForTimeout(700);
  }
  await page.waitForSelector(".leaks .body .row");
  expect((await page.textContent(".leaks .body")).includes("/tenants/initech"), await page.textContent(".leaks .body"));
  await page.waitForSelector(".frames li");
  await page.waitForSelector(".flame .box");
  await page.waitForTimeout(400);
  await shot("leaks-dark");
  const boxes = await page.locator(".flame .box").count();
  await page.locator(".flame .box").nth(3).click();
  await page.waitForSelector("button:has-text('Whole'):visible");
  await page.click("button:has-text('Whole')");
  await page.click("button:has-text('Call tree')");
  await page.waitForSelector(".call-tree .row");
  await shot("leaks-tree");
  return boxes + " boxes";
});

await check("call sites of live memory", async () => {
  await tab("sites");
  await page.waitForSelector(".sites .body .row");
  await page.waitForSelector(".flame .box");
  await shot("sites-dark");
});

await check("events name the group whose limit it was", async () => {
  await tab("events");
  await page.waitForSelector(".events-table .scroller .row:visible", { timeout: 15000 });
  await until(page, () => document.querySelector(".events-table .scroller").textContent.includes("/tenants/"));
  await shot("events-dark");
});

await check("without the token it is read-only, and says so", async () => {
  const other = await open(browser, uri, { colorScheme: "light" });
  expect((await other.textContent("#access")) === "read-only", "access");
  await other.locator("#groups .row:visible", { has: other.locator("bdi", { hasText: "acme" }) }).first().click();
  await other.focus("#limit-max");
  await other.keyboard.press("Enter");
  await other.waitForSelector(".detail .message.bad");
  await other.waitForTimeout(1500);
  await shot("groups-light", other);
  await other.click("#tab-slabs");
  await other.waitForSelector(".caches .body .row");
  await shot("slabs-light", other);
  await other.click("#access");
  await other.waitForSelector("#token[open]");
  await other.fill("#token input", token);
  await other.keyboard.press("Enter");
  expect((await other.textContent("#access")) === "can write", "token was not taken");
  await other.context().close();
});

await check("a window of any width shows the columns that it shows whole", async () => {
  await tab("groups");
  for (const width of [1000, 1190, 1360, 1430, 1900]) {
    await page.setViewportSize({ width, height: 800 });
    await page.waitForTimeout(200);
    const cut = await page.evaluate(() => { const list = document.querySelector("#groups"); return list.scrollWidth - list.clientWidth; });
    expect(cut <= 0, `at ${width}: ${cut} px are cut off`);
  }
});

await check("a small window", async () => {
  await tab("groups");
  await page.setViewportSize({ width: 1000, height: 700 });
  await page.waitForTimeout(500);
  await shot("small");
  expect((await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth)), "the page is wider than the window");
  await page.setViewportSize({ width: 1440, height: 900 });
});

await finish(browser);
