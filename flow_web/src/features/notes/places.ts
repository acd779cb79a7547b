/** Where a place in a text has gone after others changed the text: carets and selections stay put. */

/** In the old text, `start` to `end` gave way to `length` characters. Units: UTF-16. */
export type Change = { start: number; end: number; length: number };

const commonStart = <T>(a: ArrayLike<T>, b: ArrayLike<T>): number => {
  const most = Math.min(a.length, b.length);
  let length = 0;
  while (length < most && a[length] === b[length]) {
    length += 1;
  }
  return length;
};

/** Return how much both end with alike, beside their first `start`. */
const commonEnd = <T>(a: ArrayLike<T>, b: ArrayLike<T>, start: number): number => {
  const most = Math.min(a.length, b.length) - start;
  let length = 0;
  while (length < most && a[a.length - 1 - length] === b[b.length - 1 - length]) {
    length += 1;
  }
  return length;
};

const linesOf = (text: string): string[] => text.match(/[^\n]*\n|[^\n]+/gu) ?? [];

/** Return the places of the lines that stand there once. */
const uniqueLines = (lines: readonly string[]): Map<string, number> => {
  const places = new Map<string, number>();
  for (const [index, line] of lines.entries()) {
    places.set(line, places.has(line) ? -1 : index);
  }
  return places;
};

/** Return pairs of lines that are the same one before and after, both rising. */
const anchors = (before: readonly string[], after: readonly string[]): [number, number][] => {
  const there = uniqueLines(after);
  // Patience: the ends of the longest rising runs of each length, linked backwards.
  type Pair = { from: number; to: number; previous: Pair | undefined };
  const ends: Pair[] = [];
  for (const [line, from] of uniqueLines(before)) {
    const to = from === -1 ? -1 : (there.get(line) ?? -1);
    if (to !== -1) {
      let low = 0;
      let high = ends.length;
      while (low < high) {
        const middle = (low + high) >> 1;
        if ((ends[middle]?.to ?? 0) < to) {
          low = middle + 1;
        } else {
          high = middle;
        }
      }
      ends[low] = { from, to, previous: ends[low - 1] };
    }
  }
  const pairs: [number, number][] = [];
  for (let pair = ends.at(-1); pair !== undefined; pair = pair.previous) {
    pairs.push([pair.from, pair.to]);
  }
  return pairs.toReversed();
};

/** Return what changed from one text to another, in order and apart; close, not always the least. */
export const changesBetween = (before: string, after: string): Change[] => {
  const old = linesOf(before);
  const now = linesOf(after);
  const same = [...anchors(old, now), [old.length, now.length] as [number, number]];
  const changes: Change[] = [];
  let place = 0;
  let [oldLine, nowLine] = [0, 0];
  for (const [oldEnd, nowEnd] of same) {
    const gone = old.slice(oldLine, oldEnd).join("");
    const come = now.slice(nowLine, nowEnd).join("");
    const start = commonStart(gone, come);
    const end = commonEnd(gone, come, start);
    if (gone !== come) {
      const from = place + start;
      changes.push({ start: from, end: place + gone.length - end, length: come.length - start - end });
    }
    place += gone.length + (old[oldEnd]?.length ?? 0);
    [oldLine, nowLine] = [oldEnd + 1, nowEnd + 1];
  }
  return changes;
};

/** Return where a place of the old text is in the new one; in what is gone, where that began. */
export const mapPlace = (changes: readonly Change[], place: number): number => {
  let moved = place;
  for (const { start, end, length } of changes) {
    if (place <= start) {
      break;
    }
    moved += place >= end ? length - (end - start) : start - place;
  }
  return moved;
};
