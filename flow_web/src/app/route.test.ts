import { expect, test } from "vitest";

import type { BoardId, NoteId, TaskId } from "../sync/api";
import { LINKS, linkToBoard, linkToNote, routeOf } from "./route";

test("a link leads to what it was made for", () => {
  const board = "a/b c%" as BoardId;
  const note = "n/1?" as NoteId;

  expect(routeOf(linkToBoard(board))).toEqual({ page: "board", board, task: undefined });
  const task = "t/2 %" as TaskId;
  expect(routeOf(linkToBoard(board, task))).toEqual({ page: "board", board, task });
  expect(routeOf(linkToNote(note))).toEqual({ page: "notes", note });
});

test("each page has its link", () => {
  for (const [page, link] of Object.entries(LINKS)) {
    expect(routeOf(link).page).toBe(page);
  }
});

test("a link from before there were pages still leads to its board", () => {
  expect(routeOf("#/boards/b1")).toMatchObject({ page: "board", board: "b1" });
});

test.each(["", "#", "#/", "#/other/1"])("%j is Today", (hash) => {
  expect(routeOf(hash)).toEqual({ page: "today" });
});

test.each(["#/boards/", "#/board", "#/board/%"])("%j names no board", (hash) => {
  expect(routeOf(hash)).toMatchObject({ page: "board", board: undefined });
});
