// Many official clients at work, each with a live query and one mutation after the other, until the
// standard input ends; then a line for each says what it has seen.
import { ConvexClient, fn, pause, report, run, until } from "./harness.mjs";

const same = (versions) => versions.every((version) => version === versions[0]);

/** One client: counts, and looks at what each answer and each live result is made of. */
const worker = (url, name) => {
  const client = new ConvexClient(url);
  const seen = { name, counted: 0, failed: [], mixed: 0, lost: 0, live: null, results: 0 };
  const fail = (error) => seen.failed.push(String(error.message ?? error).slice(0, 300));
  client.onUpdate(
    fn("counters:watch"),
    { name },
    (value) => {
      seen.results += 1;
      seen.mixed += same(value.versions) ? 0 : 1;
      // What was acknowledged is in every later result.
      seen.lost += value.count < (seen.live?.count ?? 0) ? 1 : 0;
      seen.live = value;
    },
    fail,
  );
  const work = async (isOver) => {
    while (!isOver()) {
      try {
        const { versions, count } = await client.mutation(fn("counters:add"), { name });
        seen.counted += 1;
        seen.mixed += same(versions) ? 0 : 1;
        seen.lost += count === seen.counted ? 0 : 1;
      } catch (error) {
        fail(error);
      }
      await pause(10 + Math.random() * 40);
    }
    await until(() => seen.live?.count === seen.counted);
  };
  return { work, seen, client };
};

const load = async ({ url, clients }) => {
  let over = false;
  process.stdin.on("end", () => {
    over = true;
  });
  process.stdin.resume();
  const workers = Array.from({ length: clients }, (_, number) => worker(url, `client ${number}`));
  await until(() => workers.every(({ seen }) => seen.live !== null));
  report({ ready: true });
  await Promise.all(workers.map(({ work }) => work(() => over)));
  for (const { seen } of workers) {
    report(seen);
  }
  for (const { client } of workers) {
    await client.close();
  }
};

await run({ load });
