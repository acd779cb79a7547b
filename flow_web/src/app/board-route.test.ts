import { expect, test } from "vitest";

import type { BoardId } from "../sync/api";
import { boardInHash, linkToBoard } from "./board-route";

test("a link leads to the board it was made for", () => {
  const board = "a/b c%" as BoardId;

  expect(boardInHash(linkToBoard(board))).toBe(board);
});

test.each(["", "#", "#/boards/", "#/other/1", "#/boards/%"])("%j names no board", (hash) => {
  expect(boardInHash(hash)).toBeUndefined();
});
