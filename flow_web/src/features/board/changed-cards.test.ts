import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { makeTask } from "../../sync/fake-server";
import { addKey, ChangedCards } from "./changed-cards";

const before = [makeTask("a", "todo", "a0"), makeTask("b", "todo", "a1")];
const moved = makeTask("b", "doing", "a0");
const after = before.with(1, moved);

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("a card that others changed is marked, for 1.2 seconds", () => {
  const changed = new ChangedCards();
  const heard = vi.fn<() => void>();
  changed.subscribe(heard);

  expect(changed.notice(before, after)).toBe(1);
  expect(changed.isMarked(moved._id)).toBe(true);
  vi.advanceTimersByTime(1_200);

  expect(changed.isMarked(moved._id)).toBe(false);
  expect(heard).toHaveBeenCalledTimes(2);
});

test("my own change is not marked while it is on its way, and is again later", async () => {
  const changed = new ChangedCards();
  changed.claim(moved._id, Promise.resolve());

  expect(changed.notice(before, after)).toBe(0);
  await vi.advanceTimersByTimeAsync(1_000);

  expect(changed.notice(after, before)).toBe(1);
});

test("my new card is not marked when the server gives it an id", () => {
  const changed = new ChangedCards();
  changed.claim(addKey("todo", "New"), Promise.resolve());

  const added = makeTask("n", "todo", "a2", { title: "New" });

  expect(changed.notice(before, [...before, added])).toBe(0);
});
