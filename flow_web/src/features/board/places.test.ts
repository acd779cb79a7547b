import { expect, test } from "vitest";

import type { TaskId } from "../../sync/api";
import { makeBoard, makeTask } from "../../sync/fake-server";
import { cardTowards, placeTowards, topOf } from "./places";
import type { Direction } from "./places";

const { columns } = makeBoard();
const a = makeTask("a", "todo", "a0");
const b = makeTask("b", "todo", "a1");
const x = makeTask("x", "done", "a0");
const tasks = [a, b, x];
const id = (text: string): TaskId => text as TaskId;

test.each<[string, Direction, object | null]>([
  ["a", "up", null],
  ["a", "down", { column: "todo", after: id("b") }],
  ["b", "up", { column: "todo", before: id("a") }],
  ["b", "down", null],
  ["a", "left", null],
  ["a", "right", { column: "doing" }],
  ["x", "right", null],
  ["x", "left", { column: "doing" }],
])("one step from %s %s leads to %j", (from, direction, place) => {
  const task = tasks.find(({ _id }) => _id === from) ?? a;

  expect(placeTowards(direction, tasks, columns, task)).toEqual(place);
});

test("a step aside keeps the row where the other column has one", () => {
  const beside = makeTask("y", "doing", "a0");

  expect(placeTowards("right", [...tasks, beside], columns, a)).toEqual({
    column: "doing",
    before: beside._id,
  });
});

test("a card on its way to the server is never named as a neighbour", () => {
  const saving = makeTask("provisional:1", "todo", "a0V");

  expect(placeTowards("down", [...tasks, saving], columns, a)).toEqual({
    column: "todo",
    after: b._id,
  });
});

test("the top is over every other card, and not told by the card itself", () => {
  expect(topOf(tasks, "todo", b._id)).toEqual({ column: "todo", before: a._id });
  expect(topOf(tasks, "todo", a._id)).toEqual({ column: "todo", before: b._id });
  expect(topOf(tasks, "doing", a._id)).toEqual({ column: "doing" });
});

test("arrows walk over empty columns, to the nearest row there is", () => {
  expect(cardTowards("right", tasks, columns, b)).toBe(x);
  expect(cardTowards("left", tasks, columns, x)).toBe(a);
  expect(cardTowards("up", tasks, columns, a)).toBeUndefined();
});
