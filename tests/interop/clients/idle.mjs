// A client that only listens, for longer than its patience with a silent server.
import { ConvexClient, fn, pause, recorded, report, run, until } from "./harness.mjs";

const idle = async ({ url, idle_seconds }) => {
  const { messages, webSocketConstructor } = recorded();
  const client = new ConvexClient(url, { webSocketConstructor });
  const seen = [];
  client.onUpdate(fn("counters:get"), { name: "idle" }, (value) => seen.push(value));
  await until(() => seen.length === 1);
  await pause(idle_seconds * 1000);
  const { connectionCount, connectionRetries } = client.connectionState();
  await client.mutation(fn("counters:add"), { name: "idle" });
  await until(() => seen.length === 2);
  report({
    connectionCount,
    connectionRetries,
    seen,
    opened: messages.filter(({ way }) => way === "open").length,
    kinds: messages.filter(({ way }) => way === "in").map(({ type }) => type),
  });
};

await run({ idle });
