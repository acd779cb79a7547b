import { expect, test } from "vitest";

import { answered, arrived, hasUnsent, held, isClean, open, refused, send, typed } from "./draft";
import type { Draft, Edit, NoteText } from "./draft";

const text = (body: string): NoteText => ({ title: "Tea", body });

test("what others wrote is shown at once where nothing is typed", () => {
  const draft = arrived(open(1, text("one")), 2, text("two"));

  expect(draft.text.body).toBe("two");
  expect(send(typed(draft, text("two!")))[1]).toEqual({ ...text("two!"), base: 2 });
});

test("whoever types goes on typing, and names the version that they began with", () => {
  const draft = arrived(typed(open(1, text("one")), text("one, mine")), 2, text("one, theirs"));

  expect(draft.text.body).toBe("one, mine");
  expect(send(draft)[1]).toEqual({ ...text("one, mine"), base: 1 });
});

test("one edit is on its way at a time, and the next one starts from its answer", () => {
  let [draft, edit] = send(typed(open(1, text("a")), text("ab")));
  draft = typed(draft, text("abc"));
  expect(send(draft)[1]).toBeNull();

  draft = answered(draft, 2);
  [draft, edit] = send(draft);

  expect(edit).toEqual({ ...text("abc"), base: 2 });
});

test("the merged text is taken over once nothing is typed beside it", () => {
  let [draft] = send(typed(open(1, text("a")), text("ab")));
  draft = arrived(draft, 4, text("xab"));
  expect(draft.text.body).toBe("ab");

  draft = answered(draft, 3);

  expect(draft.text.body).toBe("xab");
  expect(draft.base).toBe(4);
});

test("what was refused is still there, unsaved", () => {
  const [sending] = send(typed(open(1, text("a")), text("ab")));
  const draft = refused(sending);

  expect(hasUnsent(draft)).toBe(true);
  expect(send(draft)[1]).toEqual({ ...text("ab"), base: 1 });
});

test("nothing changes beneath a word that is being composed", () => {
  const draft = arrived(held(open(1, text("a")), true), 2, text("b"));
  expect(draft.text.body).toBe("a");

  expect(held(draft, false).text.body).toBe("b");
});

test("an older version that comes late changes nothing", () => {
  const draft = arrived(open(3, text("three")), 2, text("two"));

  expect(draft.text.body).toBe("three");
});

// --- Two editors and a server, in any order of events

/** Return a source of numbers from 0 up to `below`, the same ones for the same seed. */
const randomFrom = (seed: number) => {
  let state = seed;
  return (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state / 2 ** 32) * below;
  };
};

const lines = (body: string): string[] => body.split("\n").filter((line) => line !== "");

/** Return the lines that a side put after each line of the base; "" is the beginning. */
const addedAfter = (base: ReadonlySet<string>, side: readonly string[]) => {
  const added = new Map<string, string[]>();
  let last = "";
  for (const line of side) {
    if (base.has(line)) {
      last = line;
    } else {
      added.set(last, [...(added.get(last) ?? []), line]);
    }
  }
  return added;
};

/** Merge, where no line stands twice: what either took out is gone, what either added is there. */
const merge = (base: string, theirs: string, mine: string): string => {
  const known = new Set(lines(base));
  const sides = [lines(theirs), lines(mine)] as const;
  const [first, second] = sides.map((side) => addedAfter(known, side));
  const merged: string[] = [];
  for (const line of ["", ...known]) {
    if (line !== "" && sides.every((side) => side.includes(line))) {
      merged.push(line);
    }
    const before = first?.get(line) ?? [];
    merged.push(...before, ...(second?.get(line) ?? []).filter((each) => !before.includes(each)));
  }
  return merged.join("\n");
};

class Server {
  readonly versions: string[] = [""];

  constructor(body: string) {
    this.versions.push(body);
  }

  get newest(): number {
    return this.versions.length - 1;
  }

  edit({ base, body }: Edit): number {
    const began = this.versions[base] ?? "";
    const current = this.versions[this.newest] ?? "";
    const merged = base === this.newest ? body : merge(began, current, body);
    if (merged === current) {
      return body === current ? this.newest : base;
    }
    if (merged !== body) {
      this.versions.push(body); // What was sent is a version too: its editor goes on from there.
    }
    this.versions.push(merged);
    return merged === body ? this.newest : this.newest - 1;
  }
}

type Window = { draft: Draft; toServer: Edit[]; toWindow: ((draft: Draft) => Draft)[] };

const run = (seed: number): { ends: string[]; added: Set<string> } => {
  const random = randomFrom(seed);
  const server = new Server("start\nmiddle\nend");
  const added = new Set<string>();
  const windows: Window[] = [0, 1].map(() => ({
    draft: open(1, text("start\nmiddle\nend")),
    toServer: [],
    toWindow: [],
  }));

  const step = (window: Window, what: number) => {
    if (what < 3) {
      const now = lines(window.draft.text.body);
      const line = `line ${added.size}`;
      added.add(line);
      now.splice(Math.floor(random(now.length + 1)), 0, line);
      window.draft = typed(window.draft, text(now.join("\n")));
    } else if (what < 5) {
      const [draft, edit] = send(window.draft);
      window.draft = draft;
      if (edit !== null) {
        window.toServer.push(edit);
      }
    } else if (what < 7) {
      const edit = window.toServer.shift();
      if (edit !== undefined) {
        const base = server.edit(edit);
        const version = server.newest;
        const body = server.versions[version] ?? "";
        for (const each of windows) {
          each.toWindow.push((draft) => arrived(draft, version, text(body)));
        }
        window.toWindow.push((draft) => answered(draft, base));
      }
    } else {
      const event = window.toWindow.shift();
      window.draft = event?.(window.draft) ?? window.draft;
    }
  };
  for (let round = 0; round < 60; round += 1) {
    const window = windows[Math.floor(random(2))];
    if (window !== undefined) {
      step(window, random(9));
    }
  }
  // Both stop typing; what is on its way arrives.
  for (let round = 0; round < 200; round += 1) {
    for (const window of windows) {
      for (const what of [3, 5, 8]) {
        step(window, what);
      }
    }
  }
  expect(windows.every(({ draft }) => isClean(draft))).toBe(true);
  return { ends: windows.map(({ draft }) => draft.text.body), added };
};

test("whatever two people type, and in whatever order it arrives, both end with the words of both", () => {
  for (let seed = 0; seed < 400; seed += 1) {
    const { ends, added } = run(seed);

    expect(ends[0], `seed ${seed}`).toBe(ends[1]);
    const there = new Set(lines(ends[0] ?? ""));
    expect([...added].filter((line) => !there.has(line)), `seed ${seed}`).toEqual([]);
  }
});
