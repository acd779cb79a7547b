import { expect, test } from "vitest";

import { linesOf } from "./lines";

test("lines lose the marks of lists, and nothing else", () => {
  expect(linesOf("- [ ] Milk\n* eggs \r\n\n2. Bread - dark\n-5 degrees\n  • tea\n[x] y")).toEqual([
    "Milk",
    "eggs",
    "Bread - dark",
    "-5 degrees",
    "tea",
    "[x] y",
  ]);
});
