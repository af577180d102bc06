// Opens the report of a run folder in headless Chromium and uses it as a reader does.
//
//     node report.mjs RUN/report.html [FOLDER FOR SCREENSHOTS]
//
// `cargo xtask pages` makes runs and calls this. The browser is the one that CHROMIUM names, or the one on the path.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const [report, shots] = process.argv.slice(2);
assert.ok(report && existsSync(report), "usage: node report.mjs RUN/report.html [FOLDER FOR SCREENSHOTS]");
const address = pathToFileURL(path.resolve(report)).href;
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });

const problems = [];
async function open(options = {}) {
  const page = await (await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options })).newPage();
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("request", (request) => {
    const url = request.url();
    if (url !== address && !url.startsWith("data:")) problems.push(`asks for ${url}`);
  });
  await page.goto(address);
  return page;
}
async function shoot(page, name, whole = true) {
  if (shots) await page.screenshot({ path: path.join(shots, `${name}.png`), fullPage: whole });
}
const whole = (text) => Number(text.replace(/[\u202f\s]/g, ""));
const counts = async (page) => {
  const first = (name) => page.$eval(`.slider [data-cell=${name}]`, (cell) => cell.firstChild.data);
  const [found, missed, alarms, quiet] = await Promise.all(["found", "missed", "alarms", "quiet"].map(first));
  return { found: whole(found), missed: whole(missed), alarms: whole(alarms), quiet: whole(quiet) };
};

// The slider, by keys and by the button.
const page = await open();
const slider = page.locator("#threshold-slider");
if (await slider.count()) {
  assert.ok(await slider.isVisible(), "the script shows the slider");
  const said = page.locator(".slider output");
  const begin = await counts(page);
  const calibrated = (await page.locator(".slider[data-calibrated]").count()) === 1;
  assert.equal(/the calibrated one/.test(await said.textContent()), calibrated);
  // The table that stands there without a script says the same.
  const still = await page.$$eval("table.matrix:not(.slider *) td.n", (cells) => cells.map((cell) => cell.firstChild.data));
  if (still.length) assert.deepEqual(still.map(whole), [begin.found, begin.missed, begin.alarms, begin.quiet]);
  const [abnormal, normal] = [begin.found + begin.missed, begin.alarms + begin.quiet];
  await slider.focus();
  let before = begin;
  for (let i = 0; i < 12; i++) {
    await page.keyboard.press("ArrowLeft");
    const now = await counts(page);
    assert.ok(now.found >= before.found && now.alarms >= before.alarms, "a lower threshold flags more");
    assert.deepEqual([now.found + now.missed, now.alarms + now.quiet], [abnormal, normal]);
    before = now;
  }
  assert.ok(before.found + before.alarms > begin.found + begin.alarms, "twelve steps change something");
  assert.doesNotMatch(await said.textContent(), /the calibrated one/);
  await page.keyboard.press("Home");
  assert.deepEqual(await counts(page), { found: abnormal, missed: 0, alarms: normal, quiet: 0 });
  await page.keyboard.press("End");
  assert.deepEqual(await counts(page), { found: 0, missed: abnormal, alarms: 0, quiet: normal });
  assert.match(await said.textContent(), /precision none called abnormal, recall 0\.000/);
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  assert.deepEqual(await counts(page), begin, "the button goes back");
} else {
  console.log("no slider: the test samples are of one class");
}
// What is folded opens, by a click and by a key; the navigation leads where it says.
for (let i = 0, left; (left = await page.locator("details:not([open])").count()) > 0; i++) {
  const folded = page.locator("details:not([open]) > summary").first();
  if (i % 2) await folded.click();
  else {
    await folded.focus();
    await page.keyboard.press("Enter");
  }
  assert.equal(await page.locator("details:not([open])").count(), left - 1, "it opens");
}
assert.equal(await page.locator("details:not([open])").count(), 0);
const links = await page.locator("nav a").all();
assert.ok(links.length > 4);
for (const link of links) {
  const id = (await link.getAttribute("href")).slice(1);
  await link.click();
  assert.ok(await page.evaluate((id) => location.hash === `#${id}` && !!document.getElementById(id), id), id);
}
assert.ok(await page.evaluate(() => [...document.images].every((image) => image.complete && image.naturalWidth > 0)), "pictures");
await shoot(page, "light");
const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
const light = await paper();
await page.emulateMedia({ colorScheme: "dark" });
assert.notEqual(await paper(), light, "dark where the reader wants it");
await shoot(page, "dark");

// A phone: nothing runs out of the page sideways.
const phone = await open({ viewport: { width: 360, height: 740 }, hasTouch: true });
const over = await phone.evaluate(() => {
  const scrolls = (e) => e && (["auto", "scroll"].includes(getComputedStyle(e).overflowX) || scrolls(e.parentElement));
  const wide = [...document.querySelectorAll("main *")].filter((e) => !scrolls(e) && e.getBoundingClientRect().right > innerWidth + 1);
  return wide.slice(0, 5).map((e) => `${e.tagName} ${e.textContent.slice(0, 60)}`);
});
assert.deepEqual(over, [], "wider than a phone");
await shoot(phone, "phone");

// Without scripts the page is whole but for the slider.
const plain = await open({ javaScriptEnabled: false });
assert.ok(!(await plain.locator(".slider").first().isVisible().catch(() => false)));
assert.ok(await plain.locator("h1").isVisible());

await browser.close();
assert.deepEqual(problems, []);
console.log(`${report}: as it should be`);
