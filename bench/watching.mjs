// An official client that watches one query and prints each result on a line: folder, address, path.
import { createRequire } from "node:module";

const [modules, url, path] = process.argv.slice(2);
const require = createRequire(`${modules}/`);
const { ConvexClient } = require("convex/browser");
const { makeFunctionReference } = require("convex/server");

const client = new ConvexClient(url);
client.onUpdate(makeFunctionReference(path), {}, (result) => {
  process.stdout.write(`${JSON.stringify(result)}\n`);
});
