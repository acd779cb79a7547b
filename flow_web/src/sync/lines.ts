/** Lines of quick add, written by the program: dates that the server reads in any case. */
import type { DateText, TimeText } from "./api";

const BODY = " // ";

/** Return a date as a phrase that counts wherever it stands. */
export const onDate = (date: DateText, time: TimeText | null): string =>
  time === null ? `on ${date}` : `on ${date} ${time}`;

/** Return the line with a phrase after its title, and so before its body. */
export const withPhrase = (line: string, phrase: string): string => {
  const body = line.indexOf(BODY);
  const title = body === -1 ? line : line.slice(0, body);
  const rest = body === -1 ? "" : line.slice(body);
  return `${title.trimEnd()} ${phrase}${rest}`;
};

/** Return several lines as one: the first, with the others as its body. */
export const asOneLine = ([first = "", ...rest]: readonly string[]): string =>
  rest.length === 0 ? first : `${first}${BODY}${rest.join("; ")}`;
