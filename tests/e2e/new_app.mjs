// Two people on the page of a new app under `flow dev`, while one of its functions is changed.
// Usage: node new_app.mjs CHROMIUM MODULES URL FILE PICTURES. Prints one line of JSON.
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";

import { DESKTOP, PHONE, start } from "./chromium.mjs";

const [chromium, modules, url, file, pictures] = process.argv.slice(2);
const { browser, problems, open } = await start(chromium, modules);
const axe = readFileSync(createRequire(`${modules}/`).resolve("axe-core/axe.min.js"), "utf8");

async function look(page, name) {
  await page.screenshot({ path: `${pictures}/${name}.png` });
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document));
  for (const { id, nodes } of violations) problems.push(`${name}: ${id}: ${nodes[0].html}`);
}

async function say(page, author, text) {
  await page.getByLabel("Your name").fill(author);
  await page.getByLabel("Message", { exact: true }).fill(text);
  await page.getByRole("button", { name: "Post" }).click();
}

const first = (page) => page.getByRole("listitem").first();

const ana = await open("ana", url, DESKTOP);
await look(ana, "empty");
const ben = await open("ben", url, { ...PHONE, colorScheme: "dark" });
await say(ana, "Ana", "Hello from the desk");
await first(ben).getByText("Hello from the desk").waitFor();
await say(ben, "Ben", "And from the bus, which is late again as it is every Monday morning");
await first(ana).getByText("And from the bus").waitFor();
await ana.getByRole("listitem").last().getByRole("button", { name: "Pin" }).press("Enter");
await first(ana).getByRole("button", { name: "Pinned" }).waitFor();
const focused = await ana.evaluate(() => document.activeElement?.textContent);
if (focused !== "Pinned") problems.push(`To pin by keyboard leaves the focus on ${focused}.`);
await first(ben).getByRole("button", { name: "Pinned" }).waitFor();
await first(ben).getByText("Hello from the desk").waitFor();
await look(ana, "light");
await look(ben, "phone-dark");

// A save, as an editor does it; nobody reloads a page.
const text = readFileSync(file, "utf8");
writeFileSync(`${file}~`, text.replace("each.text, each.created", "each.text.upper(), each.created"));
renameSync(`${file}~`, file);
await first(ana).getByText("HELLO FROM THE DESK").waitFor();
await first(ben).getByText("HELLO FROM THE DESK").waitFor();

await browser.close();
console.log(JSON.stringify({ problems }));
