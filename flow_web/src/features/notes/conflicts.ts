/** The places that a merge could not settle: a quote says what the other one wrote there. */

// As the server writes it: a heading in bold, an empty line, then the other's lines.
const QUOTE = /^> \*\*Also written[^\n]*:\*\*\n(?:>[^\n]*(?:\n|$))*/gmu;
const HEADING = /^Also written\b.*:$/su;

export type Conflict = { start: number; end: number };

/** Return where in a text of Markdown these quotes stand, in UTF-16 units. */
export const conflictsIn = (body: string): Conflict[] =>
  [...body.matchAll(QUOTE)].map(({ 0: quote, index }) => ({ start: index, end: index + quote.length }));

/** Mark these quotes in a note as it is read. */
export const markConflicts = (reader: HTMLElement): void => {
  for (const quote of reader.querySelectorAll<HTMLElement>("blockquote")) {
    const heading = quote.querySelector(":scope > p:first-child > strong:only-child");
    if (HEADING.test(heading?.textContent ?? "")) {
      quote.dataset["conflict"] = "";
    }
  }
};
