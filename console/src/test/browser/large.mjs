// The page on 10 000 groups that all change: how long an update takes, in the page.
// Usage: node large.mjs URI TOKEN FOLDER SECONDS
import { check, expect, finish, launch, open } from "./browser.mjs";

const [uri, , folder, seconds] = process.argv.slice(2);
const browser = await launch();
const page = await open(browser, uri);

await check("all groups are there, and few rows", async () => {
  const groups = await page.evaluate(() => window.memcg4j.store.groups.size);
  expect(groups > 10000, groups + " groups");
  const rows = await page.locator("#groups .row").count();
  expect(rows < 100, rows + " rows");
  return `${groups} groups, ${rows} rows`;
});

// The test reads the time that this process needs meanwhile.
console.log("begin");
await page.evaluate(() => { window.memcg4j.timings.length = 0; });
await page.waitForTimeout(1000 * Number(seconds));
const timings = await page.evaluate(() => [...window.memcg4j.timings].sort((a, b) => a - b));
console.log("end");

await check("updates", async () => {
  expect(timings.length >= 3, timings.length + " updates");
  const at = (part) => timings[Math.min(timings.length - 1, Math.floor(part * timings.length))].toFixed(1);
  return `${timings.length} updates, ms: median ${at(0.5)} p90 ${at(0.9)} max ${at(1)}`;
});

await check("sort, filter and the end of the list", async () => {
  const time = (body) => page.evaluate(body);
  const sort = await time(() => { const t = performance.now(); document.querySelector(".cell-head.share button").click(); document.body.offsetHeight; return performance.now() - t; });
  const filter = await time(() => { const box = document.querySelector("#filter"); const t = performance.now(); box.value = "99"; box.dispatchEvent(new Event("input")); document.body.offsetHeight; return performance.now() - t; });
  await page.evaluate(() => { const box = document.querySelector("#filter"); box.value = ""; box.dispatchEvent(new Event("input")); });
  await page.focus("#groups");
  await page.keyboard.press("End");
  await page.waitForTimeout(200);
  expect(await page.evaluate(() => document.querySelector("#groups").scrollTop > 100000), "not at the end");
  return `ms: sort ${sort.toFixed(1)} filter ${filter.toFixed(1)}`;
});

await page.screenshot({ path: `${folder}/large.png` });
await finish(browser);
