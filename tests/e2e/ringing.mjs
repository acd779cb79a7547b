// A reminder rings in two windows, survives a reload, and goes from both when one answers it;
// one that is canceled comes back to both.
// Usage: node ringing.mjs CHROMIUM MODULES URL PICTURES. Prints one line of JSON.
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

const toast = (page, title) => page.getByRole("group", { name: `Reminder: ${title}` });
const soon = () => Date.now() + 2_500;

const ana = await open("ana", `${url}/#/`, DESKTOP);
const ben = await open("ben", `${url}/#/reminders`, { ...DESKTOP, colorScheme: "dark" });
await ben.getByText("Nothing will ring").waitFor();
await look(ben, "reminders-empty");

await call("mutation", "reminders:create", { title: "Take the bread out", at: soon() });
await call("mutation", "reminders:create", {
  title: "Water plants",
  due_date: "2030-05-06",
  due_time: "09:00",
  rule: "FREQ=WEEKLY;BYDAY=MO",
});
for (const page of [ana, ben]) await toast(page, "Take the bread out").waitFor();
const titles = [await ana.title(), await ben.title()];
await look(ana, "ringing");
await look(ben, "ringing-dark");

// It is a live query: a page that comes later shows it as well.
await ben.reload();
await toast(ben, "Take the bread out").waitFor();
await ben.keyboard.press("F6");
const focused = await ben.evaluate(() => document.activeElement?.getAttribute("aria-label"));
await ben.keyboard.press("Enter");
for (const page of [ana, ben]) {
  await toast(page, "Take the bread out").waitFor({ state: "detached" });
}
const after = await ana.title();

// Snoozed in one, it goes from both as well, and waits.
await call("mutation", "reminders:create", { title: "Call mom", at: soon() });
const phone = await open("phone", `${url}/#/`, PHONE);
for (const page of [ana, phone]) await toast(page, "Call mom").waitFor();
await look(phone, "ringing-phone");
await toast(phone, "Call mom").getByRole("button", { name: "Snooze Call mom" }).click();
await look(phone, "ringing-snooze-phone");
await phone.getByRole("menuitem", { name: /10 min/ }).click();
for (const page of [ana, phone]) await toast(page, "Call mom").waitFor({ state: "detached" });
await ben.getByRole("listitem").getByText("Call mom").waitFor();
await look(ben, "reminders-dark");
await ana.goto(`${url}/#/reminders`);
await ana.getByRole("listitem").getByText("Call mom").waitFor();
await look(ana, "reminders");

// Canceled and undone, they wait for what they waited for, in both windows; one of a task as well.
const board = await call("mutation", "boards:create", { title: "Health" });
const dentist = await call("mutation", "tasks:add", {
  board,
  title: "Dentist",
  due_date: "2030-05-07",
  due_time: "15:00",
});
await call("mutation", "reminders:create", { title: "-", task: dentist, offset: "-PT30M" });
const row = (page, title) => page.getByRole("listitem").filter({ hasText: title });
const shown = {};
for (const title of ["Water plants", "Dentist"]) {
  const before = await row(ana, title).innerText();
  await row(ana, title).getByRole("button", { name: `Cancel ${title}` }).click();
  for (const page of [ana, ben]) await row(page, title).waitFor({ state: "detached" });
  const notice = ana.locator("[data-toast]").filter({ hasText: `“${title}” will not ring.` });
  await look(ana, `canceled-${title}`);
  await notice.getByRole("button", { name: "Undo" }).click();
  for (const page of [ana, ben]) await row(page, title).waitFor();
  shown[title] = [before, await row(ana, title).innerText(), await row(ben, title).innerText()];
}

await browser.close();
console.log(JSON.stringify({ problems, titles, focused, after, shown }));
