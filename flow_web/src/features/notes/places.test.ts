import { expect, test } from "vitest";

import { changesBetween, mapPlace } from "./places";
import type { Change } from "./places";

const apply = (before: string, after: string, changes: readonly Change[]): string => {
  let text = "";
  let from = 0;
  for (const { start, end, length } of changes) {
    text += before.slice(from, start);
    text += after.slice(text.length, text.length + length);
    from = end;
  }
  return text + before.slice(from);
};

const TEXTS = [
  "",
  "a",
  "one\ntwo\nthree\nfour\n",
  "zero\none\ntwo\nthree\nfour\n",
  "one\ntwo and a half\nthree\nfour\nfive",
  "one\n\n\nthree\n\nfour\n",
  "four\nthree\ntwo\none\n",
  "one\none\none\n",
  "one two\nthree 👩‍🌾 four\n",
];

test("the changes lead from every text to every other one", () => {
  for (const before of TEXTS) {
    for (const after of TEXTS) {
      expect(apply(before, after, changesBetween(before, after))).toBe(after);
    }
  }
});

/** Put the caret where the bar is, change the text, and show where it is then. */
const moved = (marked: string, after: string): string => {
  const place = marked.indexOf("|");
  const changes = changesBetween(marked.replace("|", ""), after);
  const now = mapPlace(changes, place);
  return `${after.slice(0, now)}|${after.slice(now)}`;
};

test("a caret stays at its words when others write before, behind and around it", () => {
  expect(moved("one\ntw|o\nthree\n", "zero\none\ntwo\nthree\nfour\n")).toBe(
    "zero\none\ntw|o\nthree\nfour\n",
  );
  expect(moved("one two| three", "one big two three")).toBe("one big two| three");
  expect(moved("one\ntwo\nthr|ee\nfour\n", "one!\ntwo\nthree\nfour?\n")).toBe(
    "one!\ntwo\nthr|ee\nfour?\n",
  );
});

test("a caret at the end of what one wrote stays before what others add there", () => {
  expect(moved("mine|\n", "mine and theirs\n")).toBe("mine| and theirs\n");
});

test("a caret in words that are gone stands where they were", () => {
  expect(moved("one\ntwo th|ree\nfour\n", "one\nfour\n")).toBe("one\n|four\n");
});
