import { expect, test } from "vitest";

import { lateness } from "./words";

test.each([
  [0, 0, ""],
  [59, 0, ""],
  [60, 0, "1 min late"],
  [18 * 3600 + 1, 3, "18 h late, 3 missed"],
  [44 * 3600, 0, "44 h late"],
  [48 * 3600, 1, "2 days late, 1 missed"],
  [0, 18, "18 missed"],
])("%i s late with %i missed is said as %j", (late_seconds, missed, said) => {
  expect(lateness({ late_seconds, missed })).toBe(said);
});
