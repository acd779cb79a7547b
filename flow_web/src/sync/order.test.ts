import { describe, expect, test } from "vitest";

import type { TaskId } from "./api";
import { makeTask } from "./fake-server";
import { inColumn, positionAt, provisionalRank, rankBetween, sortTasks, standsAt } from "./order";

const id = (text: string): TaskId => text as TaskId;
const a = makeTask("a", "todo", "a0");
const b = makeTask("b", "todo", "a1");
const c = makeTask("c", "todo", "a2");
const x = makeTask("x", "doing", "a0");
const board = [a, b, c, x];

test("ranks compare by code unit: a capital stands before every small letter", () => {
  const small = makeTask("1", "todo", "a0");
  const capital = makeTask("2", "todo", "Zz");

  expect(inColumn([small, capital], "todo")).toEqual([capital, small]);
});

test("equal ranks are ordered by id, whatever order they came in", () => {
  const first = makeTask("a", "todo", "a5");
  const second = makeTask("b", "todo", "a5");

  expect(sortTasks([second, first])).toEqual([first, second]);
});

describe("a provisional rank", () => {
  test("lies between the neighbours of the place", () => {
    const rank = provisionalRank(board, x._id, { column: "todo", before: b._id });

    expect(rank > a.rank && rank < b.rank).toBe(true);
  });

  test("does not count the moved card as its own neighbour", () => {
    const rank = provisionalRank(board, a._id, { column: "todo", after: b._id });

    expect(rank > b.rank && rank < c.rank).toBe(true);
  });

  test("is at the end if the neighbour has gone to another column", () => {
    const rank = provisionalRank(board, a._id, { column: "todo", before: x._id });

    expect(rank > c.rank).toBe(true);
  });

  test("is the first key in an empty column", () => {
    expect(provisionalRank(board, a._id, { column: "done" })).toBe("a0");
  });

  test("never fails: between equal or unreadable ranks a neighbour's rank will do", () => {
    expect(rankBetween("a5", "a5")).toBe("a5");
    expect(rankBetween("!", null)).toBe("!");
  });
});

describe("a card stands at a place already", () => {
  test.each([
    ["before its next", { column: "todo", before: id("c") }, true],
    ["after its previous", { column: "todo", after: id("a") }, true],
    ["beside itself", { column: "todo", before: id("b") }, true],
    ["before its previous", { column: "todo", before: id("a") }, false],
    ["at the end", { column: "todo" }, false],
    ["in another column", { column: "doing" }, false],
  ])("%s", (_, place, expected) => {
    expect(standsAt(board, b, place)).toBe(expected);
  });

  test("at the end, if it is the last", () => {
    expect(standsAt(board, c, { column: "todo" })).toBe(true);
  });
});

test("a position counts from one, among the cards there will be", () => {
  const place = { column: "todo", after: a._id };

  expect(positionAt(board, x._id, place)).toEqual({ position: 2, count: 4 });
  expect(positionAt(board, c._id, place)).toEqual({ position: 2, count: 3 });
});
