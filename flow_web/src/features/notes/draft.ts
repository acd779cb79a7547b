/** What an editor of a note knows, without I/O: what is typed, what is saved, what others wrote. */

export type NoteText = { title: string; body: string };

export type Draft = {
  /** What the editor shows. */
  text: NoteText;
  /** What the server has of it, which is the text of version `base`. */
  saved: NoteText;
  base: number;
  /** What is on its way to the server. One edit at a time: the next one names its answer. */
  sending: NoteText | null;
  /** The note as the server gave it last, with what others wrote. */
  remote: { version: number; text: NoteText };
  /** Keys that are not letters yet stand in the field: nothing may change beneath them. */
  isHeld: boolean;
};

/** An edit to send. Always the whole text, so that its version is the very text that was sent. */
export type Edit = NoteText & { base: number };

const same = (a: NoteText, b: NoteText): boolean => a.title === b.title && a.body === b.body;

/** Say whether something is typed that is neither saved nor on its way. */
export const hasUnsent = ({ text, sending, saved }: Draft): boolean =>
  !same(text, sending ?? saved);

export const isClean = (draft: Draft): boolean => draft.sending === null && !hasUnsent(draft);

/** Take over what others wrote, as long as nothing of one's own is left to be merged with it. */
const settled = (draft: Draft): Draft => {
  const { remote, base, isHeld } = draft;
  return isClean(draft) && !isHeld && remote.version > base
    ? { ...draft, text: remote.text, saved: remote.text, base: remote.version }
    : draft;
};

export const open = (version: number, text: NoteText): Draft => ({
  text,
  saved: text,
  base: version,
  sending: null,
  remote: { version, text },
  isHeld: false,
});

export const typed = (draft: Draft, text: NoteText): Draft => settled({ ...draft, text });

export const held = (draft: Draft, isHeld: boolean): Draft => settled({ ...draft, isHeld });

/** The server has a version; of two the newer one counts, in whatever order they come. */
export const arrived = (draft: Draft, version: number, text: NoteText): Draft =>
  version > draft.remote.version ? settled({ ...draft, remote: { version, text } }) : draft;

/** Return what to send now, if anything, and the draft that then waits for the answer. */
export const send = (draft: Draft): [Draft, Edit | null] =>
  draft.sending !== null || !hasUnsent(draft)
    ? [draft, null]
    : [{ ...draft, sending: draft.text }, { ...draft.text, base: draft.base }];

/** The edit is saved: `base` is the version that is its very text. */
export const answered = (draft: Draft, base: number): Draft =>
  draft.sending === null
    ? draft
    : settled({ ...draft, saved: draft.sending, base, sending: null });

/** The edit was refused: its text is unsaved as before. */
export const refused = (draft: Draft): Draft => ({ ...draft, sending: null });
