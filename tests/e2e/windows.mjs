// Two windows on one board: what is done in the first is seen in the second.
// Usage: node windows.mjs CHROMIUM MODULES URL BOARD TASK COLUMN PICTURES. Prints one line of JSON.
import { DESKTOP, PHONE, start } from "./chromium.mjs";

const [chromium, modules, url, board, task, column, pictures] = process.argv.slice(2);
const { browser, problems, open } = await start(chromium, modules);
const address = `${url}/#/board/${board}`;

const card = `[data-task-id="${task}"]`;
const there = `[data-column-key="${column}"] ${card}`;
const first = await open("first", address, DESKTOP);
const second = await open("second", address, { ...DESKTOP, colorScheme: "dark" });
const phone = await open("phone", address, PHONE);
for (const page of [first, second, phone]) await page.locator(card).waitFor();

// A real drag: the pointer goes down on the card, and up over the other column.
const from = await first.locator(card).boundingBox();
const to = await first.locator(`[data-column-key="${column}"]`).boundingBox();
await first.mouse.move(from.x + from.width / 2, from.y + from.height / 2);
await first.mouse.down();
await first.mouse.move(from.x + from.width / 2 + 12, from.y + from.height / 2 + 6, { steps: 4 });
await first.mouse.move(to.x + to.width / 2, to.y + 60, { steps: 12 });
await first.waitForTimeout(100);
await first.screenshot({ path: `${pictures}/dragging.png` });
await first.mouse.up();
const dropped = Date.now();
await second.locator(there).waitFor({ timeout: 10_000 });
const seen = Date.now();
await phone.locator(there).waitFor({ state: "attached", timeout: 10_000 });

await first.locator(there).waitFor();
await first.waitForTimeout(1500); // The moved card's highlight fades.
await first.screenshot({ path: `${pictures}/first.png` });
await second.screenshot({ path: `${pictures}/second-dark.png` });
await phone.screenshot({ path: `${pictures}/phone.png` });
await browser.close();
console.log(JSON.stringify({ milliseconds: seen - dropped, problems }));
