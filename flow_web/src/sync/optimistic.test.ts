import type { OptimisticLocalStore } from "convex/browser";
import { getFunctionName } from "convex/server";
import { beforeEach, expect, test } from "vitest";

import type { BoardId, Task, TaskId } from "./api";
import { makeTask } from "./fake-server";
import { isProvisional, provisionalId, showAdd, showEdit, showMove, showRemove } from "./optimistic";

const BOARD = "b1" as BoardId;

/** The client's store with one board in it, whose values cannot be changed in place. */
class BoardStore {
  tasks: readonly Task[];

  constructor(tasks: readonly Task[]) {
    this.tasks = Object.freeze(tasks.map((task) => Object.freeze(task)));
  }

  getQuery = (reference: Parameters<typeof getFunctionName>[0]): readonly Task[] | undefined =>
    getFunctionName(reference) === "tasks:list" ? this.tasks : undefined;
  getAllQueries = (reference: Parameters<typeof getFunctionName>[0]) =>
    getFunctionName(reference) === "tasks:list"
      ? [{ args: { board: BOARD }, value: this.tasks }]
      : [];
  setQuery = (reference: Parameters<typeof getFunctionName>[0], _: unknown, value: Task[]) => {
    expect(getFunctionName(reference)).toBe("tasks:list");
    this.tasks = value;
  };

  get ids(): string[] {
    return this.tasks.map((task) => task._id);
  }
}

const a = makeTask("a", "todo", "a0");
const b = makeTask("b", "todo", "a1");
const x = makeTask("x", "doing", "a0");

let board: BoardStore;
let store: OptimisticLocalStore;

beforeEach(() => {
  board = new BoardStore([x, a, b]);
  store = board as unknown as OptimisticLocalStore;
});

test("a move shows the card in its new column, between its neighbours", () => {
  showMove(store, { task: x._id, column: "todo", after: a._id });

  expect(board.ids).toEqual(["a", "x", "b"]);
  expect(board.tasks[1]?.column).toBe("todo");
});

test("a move replayed on a board where the neighbour has gone puts the card at the end", () => {
  board = new BoardStore([b, x]);
  store = board as unknown as OptimisticLocalStore;

  showMove(store, { task: x._id, column: "todo", before: a._id });

  expect(board.ids).toEqual(["b", "x"]);
});

test("a move of a card that someone has removed changes nothing", () => {
  const before = board.tasks;

  showMove(store, { task: "gone" as TaskId, column: "todo" });

  expect(board.tasks).toBe(before);
});

test("a new card stands at the end of its column, and is the same card in every replay", () => {
  const id = provisionalId();
  const show = showAdd(id, 5);
  const replay = new BoardStore([x, a, b]);

  show(store, { board: BOARD, title: "New", column: "todo" });
  show(replay as unknown as OptimisticLocalStore, { board: BOARD, title: "New", column: "todo" });

  expect(board.ids).toEqual(["x", "a", "b", id]);
  expect(board.tasks.filter(isProvisional).map((task) => task.title)).toEqual(["New"]);
  expect(replay.tasks).toEqual(board.tasks);
});

test("an edit changes a copy, and only what it names", () => {
  showEdit(store, { task: a._id, body: "Two rolls" });

  expect(board.tasks.find((task) => task._id === "a")).toEqual({ ...a, body: "Two rolls" });
  expect(a.body).toBe("");
});

test("a removed card is gone at once", () => {
  showRemove(store, { task: a._id });

  expect(board.ids).toEqual(["x", "b"]);
});
