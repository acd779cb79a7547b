// A browser on a board where two Python clients are at work.
// Usage: node together.mjs CHROMIUM MODULES URL BOARD TASK. Prints one line of JSON.
import { DESKTOP, start } from "./chromium.mjs";

const [chromium, modules, url, board, task] = process.argv.slice(2);
const { browser, problems, open } = await start(chromium, modules);
const page = await open("browser", `${url}/#/board/${board}`, DESKTOP);
const card = page.locator(`[data-task-id="${task}"]`);
await card.waitFor();

const from = await card.boundingBox();
const to = await page.locator('[data-column-key="doing"]').boundingBox();
await page.mouse.move(from.x + from.width / 2, from.y + from.height / 2);
await page.mouse.down();
await page.mouse.move(from.x + from.width / 2 + 12, from.y + from.height / 2 + 6, { steps: 4 });
await page.mouse.move(to.x + to.width / 2, to.y + 60, { steps: 12 });
await page.waitForTimeout(100);
await page.mouse.up();

// The first Python client answers with a task of its own, which the second one moves.
const answer = page.locator('[data-column-key="done"] [data-task-id]', { hasText: "From Python" });
await answer.waitFor({ timeout: 20_000 });
const shown = await answer.getAttribute("data-task-id");
await browser.close();
console.log(JSON.stringify({ shown, problems }));
