// Two clients hold a query that asks the clock. Nobody writes; when its instant comes both change.
import { ConvexClient, fn, recorded, report, run, until } from "./harness.mjs";

const passed = async ({ url, wait_seconds }) => {
  const at = Date.now() + wait_seconds * 1000;
  const watch = () => {
    const { messages, webSocketConstructor } = recorded();
    const client = new ConvexClient(url, { webSocketConstructor });
    const told = { seen: [], changedAt: null, messages, client };
    client.onUpdate(fn("clock:passed"), { at }, (value) => {
      told.seen.push(value);
      if (value) told.changedAt = Date.now();
    });
    return told;
  };
  const all = [watch(), watch()];
  await until(() => all.every(({ seen }) => seen.length === 1));
  await until(() => all.every(({ seen }) => seen.length === 2));
  for (const { seen, changedAt, messages, client } of all) {
    const transitions = messages.filter(({ way, type }) => way === "in" && type === "Transition");
    const { startVersion, endVersion } = transitions.at(-1);
    report({
      seen,
      late_ms: changedAt - at,
      opened: messages.filter(({ way }) => way === "open").length,
      same_ts: startVersion.ts === endVersion.ts,
      connectionRetries: client.connectionState().connectionRetries,
    });
  }
};

await run({ passed });
