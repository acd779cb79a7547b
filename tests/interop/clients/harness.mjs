// What every scenario needs: the unmodified packages, a place to report to, and waiting.
import { createRequire } from "node:module";
import { Console } from "node:console";

// The packages are those of the web app; a module that stands here would not find them by itself.
const require = createRequire(new URL("../../../flow_web/package.json", import.meta.url));

export const { ConvexClient, ConvexHttpClient } = require("convex/browser");
export const { makeFunctionReference } = require("convex/server");
export const { ConvexError, convexToJson } = require("convex/values");
// `ws` is a dependency of `convex`, which uses it too where there is no WebSocket.
const WebSocket = createRequire(require.resolve("convex/browser"))("ws");

// Reports have standard output for themselves.
globalThis.console = new Console(process.stderr, process.stderr);

const OVERDUE_MS = 25_000;

/** Tell the test: one line of JSON. */
export const report = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

/** Name a function of the app. */
export const fn = makeFunctionReference;

/** Wait for what a callback or a render brings about. */
export const until = async (condition) => {
  while (!(await condition())) {
    await new Promise((done) => setTimeout(done, 5));
  }
};

export const pause = (ms) => new Promise((done) => setTimeout(done, ms));

// The messages of all recorded sockets, for the word of a scenario that hangs.
const conversations = [];

/** A socket that keeps the messages that go through it, both ways, in order. */
export const recorded = () => {
  const messages = [];
  conversations.push(messages);
  class Recorded extends WebSocket {
    constructor(...parts) {
      super(...parts);
      messages.push({ way: "open" });
      this.addEventListener("message", ({ data }) => {
        messages.push({ way: "in", ...JSON.parse(data) });
      });
    }
    send(text) {
      messages.push({ way: "out", ...JSON.parse(text) });
      super.send(text);
    }
  }
  return { messages, webSocketConstructor: Recorded };
};

/** What an error is made of, as far as an app sees it. */
export const described = (error) => ({
  kind: error instanceof ConvexError ? "ConvexError" : error.constructor.name,
  message: error.message,
  ...(error instanceof ConvexError ? { data: convexToJson(error.data) } : {}),
});

/** Give what a call comes to: its value or its error. */
export const settled = (promise) =>
  promise.then(
    (value) => ({ value: convexToJson(value) }),
    (error) => ({ error: described(error) }),
  );

/** Let clients reconnect at once instead of after seconds, as a browser does that comes online. */
export const reconnectAtOnce = () => {
  globalThis.window ??= new EventTarget();
  setInterval(() => window.dispatchEvent(new Event("online")), 20).unref();
};

/** Run the scenario that the command line names; the second argument is its input, in JSON. */
export const run = async (scenarios, overdueMs = OVERDUE_MS) => {
  const [name, input] = process.argv.slice(2);
  const given = JSON.parse(input);
  const overdue = setTimeout(() => {
    console.error(`${name} is not done`);
    for (const messages of conversations) {
      console.error(messages.slice(-12).map((each) => JSON.stringify(each).slice(0, 300)).join("\n"));
    }
    process.exit(2);
  }, given.overdueMs ?? overdueMs);
  await scenarios[name](given);
  clearTimeout(overdue);
  // Sockets that a scenario left open keep the process alive otherwise.
  process.stdout.write("", () => process.exit(0));
};

export { require };
