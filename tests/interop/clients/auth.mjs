// Tokens: good, renewed, of another person, and bad ones.
import {
  ConvexClient,
  ConvexHttpClient,
  fn,
  recorded,
  report,
  run,
  settled,
  until,
} from "./harness.mjs";

const opened = (url) => {
  const { messages, webSocketConstructor } = recorded();
  const client = new ConvexClient(url, { webSocketConstructor });
  const seen = [];
  client.onUpdate(fn("people:me"), {}, (value) => seen.push(value));
  const changes = [];
  return { client, seen, changes, onChange: (good) => changes.push(good), messages };
};

/** Hand out tokens in turn, the last one for ever; count how often one was asked for. */
const tokensOf = (tokens) => {
  const asked = [];
  const fetchToken = async ({ forceRefreshToken }) => {
    asked.push(forceRefreshToken);
    return tokens[Math.min(asked.length, tokens.length) - 1];
  };
  return { asked, fetchToken };
};

const identities = (messages) =>
  messages.filter(({ type }) => type === "Transition").map(({ endVersion }) => endVersion.identity);

const sentTokens = (messages) =>
  messages.filter(({ way, type }) => way === "out" && type === "Authenticate").length;

const openings = (messages) => messages.filter(({ way }) => way === "open").length;

/** Sign in on an open socket, become somebody else, sign out. */
const people = async ({ url, ann, bob }) => {
  const { client, seen, changes, onChange, messages } = opened(url);
  await until(() => seen.length === 1);

  const first = tokensOf(ann);
  client.setAuth(first.fetchToken, onChange);
  await until(() => seen.at(-1) === "ann" && identities(messages).includes(2));
  report({
    asked: first.asked,
    changes: [...changes],
    sent: sentTokens(messages),
    mutation: await settled(client.mutation(fn("people:change"), {})),
    action: await settled(client.action(fn("people:act"), {})),
  });
  client.setAuth(tokensOf(bob).fetchToken, onChange);
  await until(() => seen.at(-1) === "bob");
  client.client.clearAuth();
  await until(() => seen.at(-1) === null);
  report({ seen, openings: openings(messages) });
};

/** The first token is refused, the one fetched after that is good. */
const recovers = async ({ url, bad, ann }) => {
  const { client, seen, changes, onChange, messages } = opened(url);
  const { asked, fetchToken } = tokensOf([bad, ...ann]);
  client.setAuth(fetchToken, onChange);
  // Sent while the token is looked at: it must survive the new socket.
  const change = settled(client.mutation(fn("people:change"), {}));
  await until(() => seen.at(-1) === "ann" && changes.length > 0);
  report({
    seen,
    changes,
    asked,
    change: await change,
    errors: messages.filter(({ type }) => type === "AuthError"),
  });
};

/** Every token is refused: the client gives up on tokens, and goes on without. */
const neverGood = async ({ url, bad }) => {
  const { client, seen, changes, onChange, messages } = opened(url);
  client.setAuth(tokensOf(bad).fetchToken, onChange);
  await until(() => changes.includes(false));
  const value = await client.mutation(fn("counters:add"), { name: "nobody's" });
  await until(() => seen.length > 0);
  report({ seen, changes, value, refused: messages.filter((m) => m.type === "AuthError").length });
};

/** Tokens over HTTP. */
const http = async ({ url, ann, bad }) => {
  const client = new ConvexHttpClient(url);
  const me = () => settled(client.query(fn("people:me"), {}));
  const nobody = await me();
  client.setAuth(ann[0]);
  const good = await me();
  client.setAuth(bad);
  const refused = await me();
  report({ nobody, good, refused });
};

await run({ people, recovers, neverGood, http });
