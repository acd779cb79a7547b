// A ConvexClient behind a proxy that cuts its sockets.
import { ConvexClient, fn, reconnectAtOnce, recorded, report, run, until } from "./harness.mjs";

/** One mutation, whose answer never arrives the first time. */
const once = async ({ url, name }) => {
  reconnectAtOnce();
  const { messages, webSocketConstructor } = recorded();
  const client = new ConvexClient(url, { webSocketConstructor, unsavedChangesWarning: false });
  let shown;
  client.onUpdate(fn("counters:get"), { name }, (value) => {
    shown = value;
  });
  await until(() => shown !== undefined);
  const value = await client.mutation(fn("counters:add"), { name });
  report({
    value,
    shown,
    sent: messages.filter(({ way, type }) => way === "out" && type === "Mutation").length,
    opened: messages.filter(({ way }) => way === "open").length,
  });
  // What comes after it takes effect as well, and is seen.
  report({ next: await client.mutation(fn("counters:add"), { name }), shown });
};

/** Many mutations at once, of one client; all of their promises resolve. */
const many = async ({ url, name, count }) => {
  reconnectAtOnce();
  const { messages, webSocketConstructor } = recorded();
  const client = new ConvexClient(url, { webSocketConstructor, unsavedChangesWarning: false });
  const seen = [];
  client.onUpdate(fn("counters:get"), { name }, (value) => seen.push(value));
  const calls = [];
  for (let place = 0; place < count; place += 1) {
    calls.push(client.mutation(fn("counters:add"), { name }));
    await new Promise((done) => setTimeout(done, place % 4));
  }
  const values = await Promise.all(calls);
  await until(() => seen.at(-1) === count);
  report({ values, seen, opened: messages.filter(({ way }) => way === "open").length });
};

/** One mutation after the other, three at once, until a counter of another name is raised. */
const steady = async ({ url, name }) => {
  reconnectAtOnce();
  const { messages, webSocketConstructor } = recorded();
  const client = new ConvexClient(url, { webSocketConstructor, unsavedChangesWarning: false });
  const errors = [];
  const failed = (error) => errors.push(String(error));
  const seen = [];
  client.onUpdate(fn("counters:get"), { name }, (value) => seen.push(value), failed);
  let stops = false;
  const heed = (value) => {
    stops = value > 0;
  };
  client.onUpdate(fn("counters:get"), { name: "stop" }, heed, failed);
  const values = [];
  const work = async () => {
    while (!stops) {
      values.push(await client.mutation(fn("counters:add"), { name }));
    }
  };
  await Promise.all([work(), work(), work()]);
  await until(() => seen.at(-1) === values.length);
  report({
    values,
    seen,
    errors,
    opened: messages.filter(({ way }) => way === "open").length,
    fatal: messages.filter(({ type }) => type === "FatalError" || type === "AuthError").length,
  });
};

await run({ once, many, steady });
