// Calls of every kind from ConvexClient and ConvexHttpClient: results, errors, paths, values.
import {
  ConvexClient,
  ConvexHttpClient,
  fn,
  recorded,
  report,
  require,
  run,
  settled,
  until,
} from "./harness.mjs";

const { jsonToConvex } = require("convex/values");

const opened = (url) => {
  const { messages, webSocketConstructor } = recorded();
  return { messages, client: new ConvexClient(url, { webSocketConstructor }) };
};

const connections = (messages) => messages.filter(({ way }) => way === "open").length;

/** Call a function over the socket or over HTTP, as the kind says. */
const call = (client, kind, path, args) => settled(client[kind](fn(path), args));

/** Each of the calls by itself, then a good one: the socket must have stayed up. */
const calls = async ({ url, calls: wanted }) => {
  const { client, messages } = opened(url);
  const http = new ConvexHttpClient(url);
  for (const { kind, path, args } of wanted) {
    report({
      kind,
      path,
      socket: await call(client, kind, path, args),
      http: await call(http, kind, path, args),
    });
  }
  const after = await call(client, "query", "values:ask", { value: "still there" });
  report({ after, connections: connections(messages) });
};

/** Live queries beside one that fails: the good one must go on. */
const failingLiveQuery = async ({ url, path, args }) => {
  const { client, messages } = opened(url);
  const seen = [];
  const failed = [];
  client.onUpdate(fn("counters:get"), { name: "beside" }, (value) => seen.push(value));
  client.onUpdate(fn(path), args, () => {}, (error) => failed.push(error.message));
  await until(() => failed.length > 0 && seen.length > 0);
  await client.mutation(fn("counters:add"), { name: "beside" });
  await until(() => seen.length > 1);
  report({ seen, failed, connections: connections(messages) });
};

/** Values there and back, in all kinds of calls. `value` comes in the wire's encoding. */
const roundTrip = async ({ url, value }) => {
  const { client } = opened(url);
  const http = new ConvexHttpClient(url);
  const args = { value: jsonToConvex(value) };
  for (const [kind, path] of [
    ["query", "values:ask"],
    ["mutation", "values:change"],
    ["action", "values:act"],
  ]) {
    report(await call(client, kind, path, args));
    report(await call(http, kind, path, args));
  }
  report(await call(client, "query", "values:special", {}));
};

/** A mutation of a client that watches nothing. */
const nothingWatched = async ({ url }) => {
  const { client } = opened(url);
  report({ value: await client.mutation(fn("counters:add"), { name: "unwatched" }) });
};

/** A client that opens its socket and asks for nothing gets its empty query set confirmed. */
const emptyQuerySet = async ({ url }) => {
  const { messages } = opened(url);
  await until(() => messages.some(({ type }) => type === "Transition"));
  report({ messages });
};

/** Many megabytes in one result. */
const large = async ({ url, megabytes }) => {
  const { client, messages } = opened(url);
  const texts = await client.query(fn("values:large"), { megabytes });
  report({
    lengths: texts.map(({ length }) => length),
    first: texts[0].slice(0, 3),
    last: texts.at(-1).slice(-3),
    kinds: messages.filter(({ way }) => way === "in").map(({ type }) => type),
    connections: connections(messages),
  });
};

/** Many live queries of one client; then one of them changes. */
const manyQueries = async ({ url, count }) => {
  const { client, messages } = opened(url);
  const values = new Map();
  let calls = 0;
  for (let place = 0; place < count; place += 1) {
    client.onUpdate(fn("counters:get"), { name: `many ${place}` }, (value) => {
      values.set(place, value);
      calls += 1;
    });
  }
  await until(() => values.size === count);
  const callsAtFirst = calls;
  await client.mutation(fn("counters:add"), { name: "many 7", by: 5 });
  await until(() => values.get(7) === 5);
  const changed = messages.findLast(({ type }) => type === "Transition").modifications.length;
  report({
    callsAtFirst,
    callsAfter: calls - callsAtFirst,
    changed,
    sum: [...values.values()].reduce((a, b) => a + b),
    connections: connections(messages),
  });
};

/** Consistent reads over HTTP: all at the time of the first one. */
const consistent = async ({ url }) => {
  const http = new ConvexHttpClient(url);
  const get = () => http.consistentQuery(fn("counters:get"), { name: "consistent" });
  const before = await get();
  const changed = await new ConvexHttpClient(url).mutation(fn("counters:add"), {
    name: "consistent",
  });
  report({
    before,
    changed,
    pinned: await get(),
    now: await http.query(fn("counters:get"), { name: "consistent" }),
  });
};

/** Mutations of one client at once: they run in the order in which they were called. */
const inOrder = async ({ url, count }) => {
  const { client } = opened(url);
  const calls = Array.from({ length: count }, () =>
    client.mutation(fn("counters:add"), { name: "in order" }),
  );
  report({ values: await Promise.all(calls) });
};

/** A mutation's promise resolves when the client's own queries show its effect. */
const ownWrites = async ({ url, count }) => {
  const { client } = opened(url);
  let shown;
  client.onUpdate(fn("counters:get"), { name: "own" }, (value) => {
    shown = value;
  });
  await until(() => shown !== undefined);
  const pairs = [];
  for (let place = 0; place < count; place += 1) {
    const value = await client.mutation(fn("counters:add"), { name: "own" });
    pairs.push([value, shown]);
  }
  report({ pairs });
};

await run({
  calls,
  failingLiveQuery,
  roundTrip,
  nothingWatched,
  emptyQuerySet,
  large,
  manyQueries,
  consistent,
  inOrder,
  ownWrites,
});
