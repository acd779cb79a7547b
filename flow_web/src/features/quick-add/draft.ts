/**
 * The line that is being typed, and what of it must stay text.
 *
 * Whoever undoes a reading keeps the words: nothing changes in the line. What is sent has a
 * backslash before each of those words, so the offsets that come back are counted back.
 */
import type { Hint, QuickAddView } from "../../sync/api";
import { onDate, withPhrase } from "../../sync/lines";

/** A part of a line, in UTF-16 offsets; `end` is the first one after it. */
export type Range = { start: number; end: number };

export type Draft = { text: string; kept: readonly Range[] };

export const EMPTY: Draft = { text: "", kept: [] };

/** Return the ranges where they are after an edit; one that was edited inside is gone. */
export const carry = <R extends Range>(
  ranges: readonly R[],
  before: string,
  after: string,
): R[] => {
  const shorter = Math.min(before.length, after.length);
  let head = 0;
  while (head < shorter && before[head] === after[head]) {
    head += 1;
  }
  let tail = 0;
  while (tail < shorter - head && before.at(-1 - tail) === after.at(-1 - tail)) {
    tail += 1;
  }
  const shift = after.length - before.length;
  return ranges.flatMap((range) => {
    if (range.end <= head) {
      return [range];
    }
    return range.start >= before.length - tail
      ? [{ ...range, start: range.start + shift, end: range.end + shift }]
      : [];
  });
};

/** Return the draft after its text was edited by hand. */
export const edited = (draft: Draft, text: string): Draft => ({
  text,
  kept: carry(draft.kept, draft.text, text),
});

/** Return the draft in which a part that was read stays text, as long as the line lives. */
export const keptAsText = (draft: Draft, { start, end }: Range): Draft => ({
  text: draft.text,
  kept: [...draft.kept, { start, end }],
});

/** A backslash stands before these offsets of the draft in the line that is sent. */
const backslashesOf = ({ text, kept }: Draft): number[] => {
  const starts = kept.flatMap(({ start, end }) =>
    [...text.slice(start, end).matchAll(/\S+/gu)].map((word) => start + word.index),
  );
  return [...new Set(starts)].toSorted((a, b) => a - b);
};

/** Return the line as the server is to read it. */
export const lineOf = (draft: Draft): string => {
  const { text } = draft;
  const cuts = [0, ...backslashesOf(draft)];
  return cuts.map((cut, index) => text.slice(cut, cuts[index + 1])).join("\\");
};

/** Return ranges of the line that was sent as ranges of the draft. */
export const inDraft = <R extends Range>(draft: Draft, ranges: readonly R[]): R[] => {
  const backslashes = backslashesOf(draft);
  const back = (offset: number): number =>
    offset - backslashes.filter((at, index) => at + index < offset).length;
  return ranges.map((range) => ({ ...range, start: back(range.start), end: back(range.end) }));
};

/**
 * Return the draft in which an offered reading counts.
 *
 * Its words stay where they are, since they may be part of a name; what they mean is added at the
 * end of the line, where it is read in any case.
 */
export const accepted = (draft: Draft, { text: phrase, meaning }: Hint): Draft => {
  const [, date, time] = /^(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d))?/u.exec(meaning) ?? [];
  const said = date === undefined ? phrase : onDate(date, time ?? null);
  return edited(draft, withPhrase(draft.text, said));
};

/** Return the hints that still offer something: what they mean is not in the reading yet. */
export const openHints = (view: QuickAddView): Hint[] =>
  view.hints.filter(({ text, meaning }) => {
    const [date, time] = meaning.split("T");
    const isDue = date === view.due_date && (time ?? null) === (view.due_time ?? null);
    return text !== "" && !isDue && !(meaning.startsWith("FREQ=") && view.rule !== null);
  });

/** A piece of a line, with the range that it is, or none between ranges. */
export type Piece<R> = { text: string; start: number; range: R | undefined };

/** Return the line in pieces, in order; of ranges that overlap the first counts. */
export const piecesOf = <R extends Range>(text: string, ranges: readonly R[]): Piece<R>[] => {
  const pieces: Piece<R>[] = [];
  let at = 0;
  const cut = (end: number, range: R | undefined): void => {
    if (end > at) {
      pieces.push({ text: text.slice(at, end), start: at, range });
      at = end;
    }
  };
  for (const range of ranges.toSorted((a, b) => a.start - b.start)) {
    if (range.start >= at && range.end <= text.length) {
      cut(range.start, undefined);
      cut(range.end, range);
    }
  }
  cut(text.length, undefined);
  return pieces;
};
