import { expect, test } from "vitest";

import type { Hint, QuickAddView } from "../../sync/api";
import { accepted, carry, edited, EMPTY, inDraft, keptAsText, lineOf, openHints, piecesOf } from "./draft";
import type { Draft } from "./draft";

const typed = (text: string): Draft => edited(EMPTY, text);

const rangeOf = (text: string, phrase: string) => {
  const start = text.indexOf(phrase);
  return { start, end: start + phrase.length };
};

const hint = (text: string, meaning: string): Hint => ({ text, meaning, start: 0, end: text.length });

test("what was read moves with the text around it", () => {
  const before = "Gym friday at home";
  const after = "Go to the Gym friday at home, alone";
  const range = rangeOf(before, "friday");

  expect(carry([range], before, after)).toEqual([]);
  expect(carry([range], before, `My ${before}`)).toEqual([{ start: 7, end: 13 }]);
  expect(carry([range], before, `${before}!`)).toEqual([range]);
});

test("a phrase that is edited inside is no longer that phrase", () => {
  const before = "Gym friday";
  expect(carry([rangeOf(before, "friday")], before, "Gym frday")).toEqual([]);
});

test("each word that must stay text is sent after a backslash", () => {
  const draft = typed("Bins every 2nd tuesday out");
  const kept = keptAsText(draft, rangeOf(draft.text, "every 2nd tuesday"));

  expect(lineOf(draft)).toBe("Bins every 2nd tuesday out");
  expect(lineOf(kept)).toBe("Bins \\every \\2nd \\tuesday out");
  expect(kept.text).toBe(draft.text);
});

test("what is undone stays undone while the line is edited elsewhere", () => {
  const draft = typed("The cat sat");
  const kept = keptAsText(draft, rangeOf(draft.text, "sat"));

  expect(lineOf(edited(kept, "The cat sat down tomorrow"))).toBe("The cat \\sat down tomorrow");
  expect(lineOf(edited(kept, "Look, The cat sat"))).toBe("Look, The cat \\sat");
});

test("offsets of the line that was sent are those of the same words in the draft", () => {
  const draft = typed("P1 report friday 5pm");
  const kept = keptAsText(keptAsText(draft, rangeOf(draft.text, "P1")), rangeOf(draft.text, "5pm"));
  const line = lineOf(kept);
  const words = ["P1", "report", "friday", "5pm"];

  expect(line).toBe("\\P1 report friday \\5pm");
  expect(inDraft(kept, words.map((word) => rangeOf(line, word)))).toEqual(
    words.map((word) => rangeOf(draft.text, word)),
  );
});

test("an accepted hint adds what it means and keeps the words", () => {
  const fri = hint("fri 6pm", "2026-10-30T18:00");

  expect(accepted(typed("Book train for fri 6pm"), fri).text).toBe(
    "Book train for fri 6pm on 2026-10-30 18:00",
  );
  expect(accepted(typed("monday // bring tea"), hint("monday", "2026-11-02")).text).toBe(
    "monday on 2026-11-02 // bring tea",
  );
  expect(accepted(typed("Create monthly report"), hint("monthly", "FREQ=MONTHLY")).text).toBe(
    "Create monthly report monthly",
  );
});

test("a hint whose meaning is read already offers nothing", () => {
  const view = {
    due_date: "2026-10-30",
    due_time: null,
    rule: "FREQ=MONTHLY",
    hints: [
      hint("friday", "2026-10-30"),
      hint("friday 5pm", "2026-10-30T17:00"),
      hint("weekly", "FREQ=WEEKLY"),
    ],
  } as unknown as QuickAddView;

  expect(openHints(view).map(({ text }) => text)).toEqual(["friday 5pm"]);
});

test("a line in pieces is the line, whatever ranges there are", () => {
  const text = "one two three";
  const all = [
    { start: 4, end: 7 },
    { start: 5, end: 9 },
    { start: 8, end: 99 },
    { start: 0, end: 3 },
  ];

  const pieces = piecesOf(text, all);

  expect(pieces.map((piece) => piece.text).join("")).toBe(text);
  expect(pieces.filter(({ range }) => range).map((piece) => piece.text)).toEqual(["one", "two"]);
});
