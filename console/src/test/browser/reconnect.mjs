// The page when the console goes away and comes back with other groups.
// Usage: node reconnect.mjs URI FOLDER; prints "close" and "start" when it wants that.
import { check, errors, expect, finish, launch, open, until } from "./browser.mjs";

const [uri, folder] = process.argv.slice(2);
const browser = await launch();
const page = await open(browser, uri);
const status = () => document.querySelector("#status").textContent;

await check("a console that is gone shows, with the last figures", async () => {
  await until(page, () => document.querySelector("#status").textContent === "live");
  console.log("close");
  await until(page, () => document.querySelector("#status").textContent === "reconnecting");
  await page.waitForTimeout(600);
  expect((await page.textContent("#groups")).includes("acme"), "groups are gone");
  await page.screenshot({ path: `${folder}/reconnecting.png` });
});

await check("one that comes back is live again, with what is there now", async () => {
  console.log("start");
  await until(page, () => document.querySelector("#status").textContent === "live");
  await until(page, () => document.querySelector("#groups").textContent.includes("globex"));
  return await page.evaluate(status);
});

errors.splice(0, errors.length, ...errors.filter((text) => !/ERR_(CONNECTION_REFUSED|INCOMPLETE_CHUNKED_ENCODING|CONNECTION_RESET|EMPTY_RESPONSE)/.test(text)));
await finish(browser);
