import { expect, test } from "vitest";

import { makeTask } from "./fake-server";
import { keepTasks } from "./unchanged";

test("cards that did not change keep their identity, the changed one does not", () => {
  const before = [makeTask("a", "todo", "a0"), makeTask("b", "todo", "a1")];
  const after = [makeTask("a", "todo", "a0"), makeTask("b", "todo", "a1", { title: "Other" })];

  const kept = keepTasks(before, after);

  expect(kept[0]).toBe(before[0]);
  expect(kept[1]).toBe(after[1]);
});

test("labels are compared by what they say", () => {
  const before = [makeTask("a", "todo", "a0", { labels: ["x"] })];

  expect(keepTasks(before, [makeTask("a", "todo", "a0", { labels: ["x"] })])).toBe(before);
  expect(keepTasks(before, [makeTask("a", "todo", "a0", { labels: ["y"] })])).not.toBe(before);
});
