// Clients that hold what rings. Each tells when it first saw each ring; the server may die meanwhile.
import { ConvexClient, fn, report, run, until } from "./harness.mjs";

const watch = async ({ url, count, clients }) => {
  const all = Array.from({ length: clients }, () => {
    const client = new ConvexClient(url);
    const told = { seen: new Map(), twice: 0, opened: false };
    let last = new Set();
    client.onUpdate(fn("reminders:ringing"), {}, (rings) => {
      told.opened = true;
      const now = new Set(rings.map(({ delivery }) => delivery));
      for (const { delivery, due_at } of rings) {
        if (!told.seen.has(delivery)) told.seen.set(delivery, Date.now() - due_at);
        // What was seen, went and is there again would ring a second time.
        else if (!last.has(delivery)) told.twice += 1;
      }
      last = now;
    });
    return told;
  });
  await until(() => all.every(({ opened }) => opened));
  report("watching");
  await until(() => all.every(({ seen }) => seen.size >= count));
  // One that came twice would come now.
  await new Promise((done) => setTimeout(done, 300));
  for (const { seen, twice } of all) report({ late_ms: [...seen.values()], twice });
};

await run({ watch });
