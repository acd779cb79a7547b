/** Cleans the page after each test, and takes every warning for a failure. */
import { cleanup } from "@testing-library/react";
import { afterEach, beforeEach, expect, vi } from "vitest";

// happy-dom lays nothing out, so the drag library cannot see that columns scroll.
const NO_LAYOUT = "Auto scrolling has been attached to an element that appears not to be";

// happy-dom has no popovers either: what opens as one is in the page, and that is all.
if (typeof HTMLElement !== "undefined") {
  HTMLElement.prototype.showPopover ??= () => undefined;
  HTMLElement.prototype.hidePopover ??= () => undefined;
}

let warnings: unknown[][] = [];

beforeEach(() => {
  warnings = [];
  const note = (...words: unknown[]) => {
    if (!String(words[0]).startsWith(NO_LAYOUT)) {
      warnings.push(words);
    }
  };
  vi.spyOn(console, "warn").mockImplementation(note);
  vi.spyOn(console, "error").mockImplementation(note);
});

afterEach(() => {
  cleanup();
  expect(warnings).toEqual([]);
});
