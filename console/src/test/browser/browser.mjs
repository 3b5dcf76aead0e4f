// What the tests of the page share: a page in a real browser, checks that say what they saw.
import { createRequire } from "node:module";

const { PLAYWRIGHT, CHROMIUM } = process.env;
const { chromium } = createRequire(import.meta.url)(PLAYWRIGHT);

export const errors = [];
let failed = 0;

export async function launch() {
  return chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-gpu", "--font-render-hinting=none"] });
}

export async function open(browser, url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, colorScheme: "dark", ...options });
  const page = await context.newPage();
  page.on("pageerror", (error) => errors.push("page error: " + error.message));
  page.on("console", (message) => { if (message.type() === "error" && !/status of (400|401|409) /.test(message.text())) errors.push("console: " + message.text()); });
  page.on("dialog", (dialog) => { errors.push("dialog: " + dialog.message()); dialog.dismiss(); });
  page.on("request", (request) => { if (new URL(request.url()).hostname !== "127.0.0.1" && !request.url().startsWith("data:")) errors.push("request elsewhere: " + request.url()); });
  await page.goto(url);
  await until(page, () => Boolean(window.memcg4j && window.memcg4j.store.root !== null)).catch((e) => { throw new Error(e.message + " " + errors.join(" || ")); });
  return page;
}

/** Waits until a function in the page is true. waitForFunction needs eval there, which the policy of the page forbids. */
export async function until(page, body, argument = null, millis = 20000) {
  const end = Date.now() + millis;
  while (!(await page.evaluate(body, argument))) {
    if (Date.now() > end) throw new Error("still not: " + body);
    await page.waitForTimeout(50);
  }
}

export async function check(name, body) {
  try {
    const said = await body();
    console.log("ok " + name + (said === undefined ? "" : ": " + said));
  } catch (error) {
    failed++;
    console.log("FAIL " + name + ": " + String(error.stack ?? error).split("\n").slice(0, 6).join(" | "));
  }
}

export function expect(condition, text) {
  if (!condition) throw new Error(text);
}

export async function finish(browser) {
  await check("no error on any page", () => expect(errors.length === 0, errors.slice(0, 5).join(" || ")));
  await browser.close();
  process.exit(failed === 0 ? 0 : 1);
}
