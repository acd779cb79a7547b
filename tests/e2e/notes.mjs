// Two people write in one note at once: at the end both see the same text, with the words of both.
// Usage: node notes.mjs CHROMIUM MODULES URL PICTURES. Prints one line of JSON.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

import { DESKTOP, PHONE, start } from "./chromium.mjs";

const [chromium, modules, url, pictures] = process.argv.slice(2);
const { browser, problems, open } = await start(chromium, modules);
const axe = readFileSync(createRequire(`${modules}/`).resolve("axe-core/axe.min.js"), "utf8");
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

async function look(page, name) {
  await page.screenshot({ path: `${pictures}/${name}.png` });
  await page.evaluate(axe);
  const { violations } = await page.evaluate(
    (runOnly) => globalThis.axe.run(document, { runOnly }),
    RULES,
  );
  for (const { id, nodes } of violations) problems.push(`${name}: ${id}: ${nodes[0].html}`);
}

async function call(kind, path, args) {
  const answer = await fetch(`${url}/api/${kind}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ path, args, format: "json" }),
  });
  const { status, value, errorMessage } = await answer.json();
  if (status !== "success") throw new Error(`${path}: ${errorMessage}`);
  return value;
}

const textOf = (page) => page.getByLabel("Text, in Markdown");

const note = await call("mutation", "notes:create", {
  title: "Trip to the sea",
  body: "Pack the tent.\n\nBuy sun cream.\n\nAsk for the weather.\n",
  tags: ["travel"],
});
const ana = await open("ana", `${url}/#/notes/${note}`, DESKTOP);
const ben = await open("ben", `${url}/#/notes/${note}`, { ...DESKTOP, colorScheme: "dark" });
for (const page of [ana, ben]) {
  await page.getByText("Buy sun cream.", { exact: true }).waitFor();
}
await look(ana, "note-read");

// Both type at once, letter by letter, each at a place of their own.
for (const page of [ana, ben]) await page.getByRole("button", { name: "Edit", exact: true }).click();
await textOf(ana).evaluate((field) => field.setSelectionRange(0, 0));
await textOf(ben).evaluate((field) => field.setSelectionRange(field.value.length, field.value.length));
await Promise.all([
  textOf(ana).pressSequentially("Take Ana's map along. ", { delay: 40 }),
  textOf(ben).pressSequentially("\nBen brings the stove.\n", { delay: 40 }),
]);
await Promise.all([settled(ana), settled(ben)]);
const apart = [await textOf(ana).inputValue(), await textOf(ben).inputValue()];

// And both at the same words.
for (const page of [ana, ben]) {
  await textOf(page).evaluate((field) => {
    const place = field.value.indexOf("sun cream");
    field.setSelectionRange(place, place + "sun cream".length);
  });
}
await Promise.all([
  textOf(ana).pressSequentially("matches", { delay: 20 }),
  textOf(ben).pressSequentially("bread and cheese", { delay: 20 }),
]);
await Promise.all([settled(ana), settled(ben)]);
await ana.waitForTimeout(1_000);
await Promise.all([settled(ana), settled(ben)]);
const together = [await textOf(ana).inputValue(), await textOf(ben).inputValue()];
const { note: kept } = await call("query", "notes:get", { note });
await look(ana, "note-write");
await look(ben, "note-write-dark");
const phone = await open("phone", `${url}/#/notes`, PHONE);
await phone.getByRole("link", { name: /Trip to the sea/ }).waitFor();
await look(phone, "notes-phone");

await browser.close();
console.log(JSON.stringify({ problems, apart, together, version: kept.version }));

/** Wait until all that was typed here is saved. */
async function settled(page) {
  await page.getByText("Saved", { exact: true }).waitFor({ timeout: 15_000 });
}
