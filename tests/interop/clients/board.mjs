// Two ConvexClients on one board of Flow.
import { ConvexClient, fn, report, run, until } from "./harness.mjs";

const places = (tasks) => tasks.map(({ title, column }) => [title, column]);

/** One client moves a task, the other one watches. */
const twoClients = async ({ url }) => {
  const mover = new ConvexClient(url);
  const watcher = new ConvexClient(url);
  const board = await mover.mutation(fn("boards:create"), { title: "Two clients" });
  const tasks = {};
  for (const title of ["one", "two", "three"]) {
    tasks[title] = await mover.mutation(fn("tasks:add"), { board, title });
  }
  const states = [];
  watcher.onUpdate(fn("tasks:list"), { board }, (list) => states.push(places(list)));
  await until(() => states.length === 1);

  await mover.mutation(fn("tasks:move"), { task: tasks.one, column: "doing" });
  await until(() => states.length === 2);
  await mover.mutation(fn("tasks:move"), {
    task: tasks.three,
    column: "to-do",
    before: tasks.two,
  });
  await until(() => states.length === 3);
  report({ states });
};

await run({ twoClients });
