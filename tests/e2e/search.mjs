// Tasks and notes are found while one types, and what others write shows in the open search.
// Usage: node search.mjs CHROMIUM MODULES URL PICTURES. Prints one line of JSON.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

import { DESKTOP, PHONE, start } from "./chromium.mjs";

const [chromium, modules, url, pictures] = process.argv.slice(2);
const { browser, problems, open } = await start(chromium, modules);
const axe = readFileSync(createRequire(`${modules}/`).resolve("axe-core/axe.min.js"), "utf8");
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

async function look(page, name) {
  await page.waitForTimeout(200); // The dialog drops in; a contrast is measured when it stands.
  await page.screenshot({ path: `${pictures}/${name}.png` });
  await page.evaluate(axe);
  const { violations } = await page.evaluate(
    (runOnly) => globalThis.axe.run(document, { runOnly }),
    RULES,
  );
  for (const { id, nodes } of violations) problems.push(`${name}: ${id}: ${nodes[0].html}`);
}

async function call(path, args) {
  const answer = await fetch(`${url}/api/mutation`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ path, args, format: "json" }),
  });
  const { status, value, errorMessage } = await answer.json();
  if (status !== "success") throw new Error(`${path}: ${errorMessage}`);
  return value;
}

const seen = (card) =>
  card.evaluate((element) => {
    const { top, bottom } = element.getBoundingClientRect();
    return top > 0 && bottom < innerHeight;
  });

const board = await call("boards:create", { title: "Garden" });
const add = (title, more) => call("tasks:add", { board, title, ...more });
await add("Order compost for the raised bed", { labels: ["shop"] });
await add("Plant garlic", { body: "Twenty cloves, five deep; a spade of compost over each row." });
const note = await call("notes:create", {
  title: "Soil",
  body: "The beds by the wall are sandy: two buckets of compost each spring, and straw in summer.",
  tags: ["garden"],
});
const sizes = [
  ["desktop", DESKTOP],
  ["dark", { ...DESKTOP, colorScheme: "dark" }],
  ["phone", PHONE],
];
const pages = [];
for (const [name, options] of sizes) pages.push(await open(name, `${url}/#/board`, options));
const [desktop, dark, phone] = pages;
for (const page of pages) await page.getByText("Plant garlic").first().waitFor();

await desktop.keyboard.press("/");
await dark.keyboard.press("Control+k");
await phone.getByRole("button", { name: "Search tasks and notes" }).tap();
const optionsOf = (page) => page.getByRole("option").allTextContents();
for (const page of pages) {
  await page.getByRole("combobox").pressSequentially("compo");
  await page.getByRole("option").nth(2).waitFor();
}
for (const [at, page] of pages.entries()) await look(page, `search-${sizes[at][0]}`);
const found = await optionsOf(desktop);

// Somebody else adds a task that fits: it comes into the open search.
await add("Turn the compost");
await desktop.getByRole("option", { name: "Turn the compost" }).waitFor();
const live = (await optionsOf(desktop)).length;
for (const key of ["ArrowUp", "Enter"]) await desktop.keyboard.press(key);
await desktop.waitForURL(`**/#/notes/${note}`);
// A task is shown on its board, below many others, and has the focus: twice over.
for (let at = 0; at < 20; at += 1) await add(`Weed bed ${at}`);
await add("Mend the gate");
for (let time = 0; time < 2; time += 1) {
  await dark.getByRole("combobox").fill("gate");
  await dark.getByRole("status").getByText("1 task, 0 notes").waitFor({ state: "attached" });
  await dark.keyboard.press("Enter");
  await dark.waitForFunction(() => document.activeElement?.textContent === "Mend the gate");
  await dark.waitForURL(`**/#/board/${board}`);
  const card = dark.locator("[data-task-id]").filter({ hasText: "Mend the gate" });
  if (!(await seen(card))) problems.push("The card that was sought is not in view.");
  await look(dark, "search-shown-dark");
  await dark.keyboard.press("Control+k");
}
await phone.getByRole("combobox").fill("zebra");
await phone.getByText("Nothing has all of these words.").waitFor();
await look(phone, "search-none");

await browser.close();
console.log(JSON.stringify({ problems, found, live }));
