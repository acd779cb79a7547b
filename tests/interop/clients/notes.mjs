// Two ConvexClients with one note open, in which both type.
import { ConvexClient, fn, report, run, until } from "./harness.mjs";

const EDITS = 25;

/** An editor: it types on in its own text, and names as base what it sent last. */
const type = async (client, note, name, place) => {
  let [text, base, version] = ["# Both\n\nfirst line\n\nlast line\n", 1, 1];
  for (let number = 0; number < EDITS; number += 1) {
    const word = `${name}${number}`;
    text = place === "own line" ? `${text}${word}\n` : text.replace("first line", `first line ${word}`);
    const done = await client.mutation(fn("notes:edit"), { note, base, body: text });
    ({ base, version } = done);
  }
  return version;
};

/** Both type at once; then both see the same text. */
const twoEditors = async ({ url, place }) => {
  const clients = [new ConvexClient(url), new ConvexClient(url)];
  const body = "# Both\n\nfirst line\n\nlast line\n";
  const note = await clients[0].mutation(fn("notes:create"), { title: "Both", body });
  const seen = clients.map((client) => {
    const states = [];
    client.onUpdate(fn("notes:get"), { note }, (found) => states.push(found.note));
    return states;
  });
  await until(() => seen.every((states) => states.length > 0));

  const last = await Promise.all(
    clients.map((client, who) => type(client, note, "ab"[who], place)),
  );
  const newest = Math.max(...last);
  await until(() => seen.every((states) => states.at(-1).version === newest));
  report({ texts: seen.map((states) => states.at(-1).body), edits: EDITS });
};

await run({ twoEditors });
