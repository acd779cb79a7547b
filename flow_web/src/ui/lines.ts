/** Lines of a pasted text, without the marks of lists. */

const MARK = /^\s*(?:[-*•+]|\d+[.)])\s+(?:\[[ xX]?\]\s*)?/u;

/** Return the lines that say something, without bullets, numbers and check boxes. */
export const linesOf = (text: string): string[] =>
  text
    .split(/\r?\n/u)
    .map((line) => line.replace(MARK, "").trim())
    .filter((line) => line !== "");
