import { ConvexError } from "convex/values";
import { expect, test } from "vitest";

import { refusalText } from "./refusal";

test("the app's own words reach the user", () => {
  expect(refusalText(new ConvexError("Doing is full."))).toBe("Doing is full.");
  expect(refusalText(new ConvexError({ message: "It is full.", limit: 3 }))).toBe("It is full.");
});

test("an error that was not written for users is not shown to them", () => {
  const text = refusalText(new Error("[CONVEX M(tasks:move)] Server Error: KeyError 'x'"));

  expect(text).toMatch(/^The server could not do that/);
});
