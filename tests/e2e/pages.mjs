// Two people, one server: a capture is put down by one and sorted by the other, and a task turns
// overdue on both screens with nothing written.
// Usage: node pages.mjs CHROMIUM MODULES URL PICTURES. Prints one line of JSON.
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

const section = (page, name) => page.getByRole("region", { name, exact: true });
const inbox = (page) => page.getByRole("list", { name: "Put down, newest first" });

// A capture, from one to the other and back as a note.
const ana = await open("ana", `${url}/#/inbox`, DESKTOP);
const ben = await open("ben", `${url}/#/inbox`, { ...DESKTOP, colorScheme: "dark" });
await ben.getByText("The inbox is empty").waitFor();
await look(ben, "inbox-empty");
await ana.getByLabel("Put something down").fill("idea: herb shelf");
await ana.keyboard.press("Enter");
await inbox(ben).getByText("idea: herb shelf").waitFor();
await look(ana, "inbox");
await ben.keyboard.press("j");
await ben.keyboard.press("2");
await section(ben, "Sorted lately").getByRole("link", { name: "Note" }).waitFor();
await section(ana, "Sorted lately").getByRole("link", { name: "Note" }).waitFor();
await inbox(ana).waitFor({ state: "detached" });
const notes = await call("query", "notes:list", {});

// A task that is due in some seconds: the line was typed almost a minute ago.
for (const page of [ana, ben]) await page.goto(`${url}/#/`);
await call("mutation", "tasks:quick_add", {
  line: "Call the plumber in 1 min",
  captured_at: Date.now() - 57_000,
  zone: "UTC",
});
for (const page of [ana, ben]) await page.getByText("Call the plumber").waitFor();
await look(ana, "today-due");
const commits = await written();
for (const page of [ana, ben]) {
  await section(page, "Overdue").getByText("Call the plumber").waitFor({ timeout: 10_000 });
}
const writes = (await written()) - commits;
await look(ana, "today-overdue");
await look(ben, "today-overdue-dark");
const phone = await open("phone", `${url}/#/`, PHONE);
await section(phone, "Overdue").waitFor();
await look(phone, "today-phone");

// The line on top: read as it is typed, and saved.
const line = ana.getByLabel("Add a task, note or reminder");
await ana.keyboard.press("q");
await ana.keyboard.type("Water plants tomorrow 9am p1", { delay: 5 });
const chips = ana.getByRole("list", { name: "What was understood" }).getByRole("listitem");
await chips.nth(1).waitFor();
await look(ana, "quick-add");
await ana.keyboard.press("Enter");
await section(ben, "Tomorrow").getByText("Water plants").waitFor();
const left = await line.inputValue();

await browser.close();
console.log(JSON.stringify({ problems, notes: notes.map(({ title }) => title), writes, left }));

async function written() {
  const text = await (await fetch(`${url}/metrics`)).text();
  const found = /^flow_commits_total(?:\{[^}]*\})? (\S+)$/m.exec(text);
  if (found === null) throw new Error(`No count of commits in:\n${text}`);
  return Number(found[1]);
}
