// The sandbox's page in a real browser: tests/page.sh starts both.
import assert from "node:assert/strict";
import { createRequire } from "node:module";

const { chromium } = createRequire(`${process.env.NODE_MODULES}/`)("playwright-core");
const [url, shots] = process.argv.slice(2);
// So long is waited for what has to come: a machine that runs tests may be slow, and busy with others.
const patience = 150_000;
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox"], timeout: patience });
const errors = [];

/** Opens the page; whatever its console complains of fails the test. */
async function open(options) {
  const page = await browser.newPage(options);
  page.setDefaultTimeout(patience);
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  await page.goto(url);
  await page.getByText("Live", { exact: true }).waitFor();
  return page;
}

/** The first row of a table. */
const first = (page, service, title) => page.getByRole("region", { name: `${service}: ${title}` }).locator("tbody tr").first();

const page = await open({ viewport: { width: 1400, height: 1000 } });
const other = await open({ viewport: { width: 1400, height: 1000 } });

// A button makes something happen, which every open page shows at once.
const stripe = page.getByRole("region", { name: "Stripe", exact: true });
await stripe.getByLabel("Amount").fill("1234.50");
await stripe.getByLabel("Currency").selectOption("eur");
await stripe.getByLabel("E-mail").fill("ada@example.com");
await stripe.getByRole("button", { name: "A charge fails" }).click();
await other.getByRole("cell", { name: "1234.50 EUR" }).waitFor();
await first(page, "stripe", "Charges").filter({ hasText: /1234\.50 EUR\s*failed/ }).waitFor();
await page.getByRole("status").filter({ hasText: /Stripe: A charge fails/ }).waitFor();

// What comes from outside is text.
const evil = `<img src=x onerror="document.title='taken'"><script>document.title='taken'</script>`;
await stripe.getByLabel("Name").fill(evil);
await stripe.getByRole("button", { name: "Somebody becomes a customer" }).click();
await page.getByText(evil).first().waitFor();
await other.getByText(evil).first().waitFor();
assert.equal(await page.title(), "Flow sandbox");
assert.equal(await page.locator("td img, td script, li img").count(), 0);

// By the keyboard alone, with the focus kept where it was.
const write = page.getByRole("button", { name: "Somebody writes" });
await write.focus();
await page.keyboard.press("Enter");
await page.getByRole("cell", { name: "My parcel" }).waitFor();
await page.getByRole("status").filter({ hasText: "Somebody writes" }).waitFor();
assert.equal(await page.evaluate(() => document.activeElement.textContent), "Somebody writes");
await page.keyboard.press("Tab");
assert.equal(await page.evaluate(() => document.activeElement.textContent), "An agent closes the latest conversation");

// The door.
await page.getByRole("button", { name: "The door is unlocked" }).click();
await page.getByRole("region", { name: "sesame: Doors" }).getByRole("cell", { name: "unlocked" }).waitFor();
await page.getByLabel("Battery, in per cent").fill("900");
const complains = page.waitForEvent("console", (message) => message.type() === "error");
await page.getByRole("button", { name: "The battery falls" }).click();
await page.getByRole("status").filter({ hasText: "a number from 0 to 100" }).waitFor();
// The browser says that the request was refused.
await complains;
errors.splice(0);

// A fault goes on and off.
const kustomer = page.getByRole("region", { name: "Kustomer", exact: true });
await kustomer.getByText("Let something go wrong").click();
await kustomer.getByLabel("What goes wrong").selectOption("down");
await other.getByText("something goes wrong here").waitFor();
await kustomer.getByLabel("What goes wrong").selectOption("none");
await other.getByText("something goes wrong here").waitFor({ state: "hidden" });

// Another page of the same browser gets nothing and changes nothing.
const foreign = await browser.newPage();
foreign.setDefaultTimeout(patience);
await foreign.route("http://evil.example/", (route) => route.fulfill({ contentType: "text/html", body: "<title>evil</title>" }));
await foreign.goto("http://evil.example/");
const reached = await foreign.evaluate(async (url) => {
  const tried = [];
  for (const [path, options] of [
    ["state", {}],
    ["act", { method: "POST", mode: "no-cors", body: '{"service":"stripe","act":"reset"}' }],
    ["act", { method: "POST", headers: { "x-sandbox-token": "x" }, body: '{"service":"stripe","act":"reset"}' }],
  ]) {
    try {
      const answer = await fetch(url + path, options);
      tried.push([answer.type, answer.status]);
    } catch {
      tried.push("refused");
    }
  }
  return tried;
}, url);
assert.ok(reached.every((one) => one === "refused" || (one[0] === "opaque" && one[1] === 0)), JSON.stringify(reached));
await page.waitForTimeout(100);
assert.ok((await page.getByRole("cell", { name: "1234.50 EUR" }).count()) > 0);
await foreign.close();

// Each control has a name, each service its heading, and what is read stands out enough from its ground.
for (const scheme of ["light", "dark"]) {
  await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
  const weak = await page.evaluate(() => {
    const parse = (text) => text.match(/[\d.]+/g).map(Number);
    const light = ([r, g, b]) => {
      const [x, y, z] = [r, g, b].map((c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
      return 0.2126 * x + 0.7152 * y + 0.0722 * z;
    };
    const ground = (node) => {
      for (let at = node; at; at = at.parentElement) {
        const colour = parse(getComputedStyle(at).backgroundColor);
        if (colour[3] !== 0 || colour.length === 3) return colour;
      }
      return [255, 255, 255];
    };
    const found = [];
    for (const node of document.querySelectorAll("h1, h2, h3, p, label, button, summary, th, td, code, a, strong, time, .status, .count")) {
      if (!node.textContent.trim() || node.offsetParent === null) continue;
      const [a, b] = [light(parse(getComputedStyle(node).color)), light(ground(node))];
      const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      if (ratio < 4.5) found.push(`${node.tagName} ${node.textContent.slice(0, 30)} ${ratio.toFixed(2)}`);
    }
    for (const control of document.querySelectorAll("input, select")) if (!control.labels.length) found.push(`no label: ${control.id}`);
    return found;
  });
  assert.deepEqual(weak, [], scheme);
}
await page.emulateMedia({ colorScheme: "light" });

// On a telephone nothing sticks out, and fingers hit the buttons.
const phone = await open({ viewport: { width: 360, height: 740 }, hasTouch: true, colorScheme: "dark" });
await phone.getByRole("region", { name: "stripe: Charges" }).waitFor();
const [wide, seen] = await phone.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
assert.ok(wide <= seen, `${wide} > ${seen}`);
const small = await phone.evaluate(() => [...document.querySelectorAll("button, select, input")].filter((one) => one.offsetParent && one.offsetHeight < 36).length);
assert.equal(small, 0);
if (shots) {
  await page.screenshot({ path: `${shots}/page-wide.png`, fullPage: true });
  await phone.screenshot({ path: `${shots}/page-phone.png`, fullPage: true });
}

assert.deepEqual(errors, []);
await browser.close();
console.log("ok");
