// A tab of the tutorial's page: the newest poll, each time that it is told of one.
import { ConvexClient, fn, report } from "./harness.mjs";

const client = new ConvexClient(process.argv[2]);
client.onUpdate(fn("polls:newest"), {}, (poll) => {
  report(poll === null ? null : { ...poll, choices: poll.choices.map((choice) => choice.text) });
});
