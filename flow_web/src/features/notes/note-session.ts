/** Sends what is typed in a note, after a pause or while one goes on, and says how that stands. */
import type { NoteEdited } from "../../sync/api";
import { answered, arrived, hasUnsent, held, isClean, open, refused, send, typed } from "./draft";
import type { Draft, Edit, NoteText } from "./draft";

const QUIET_MS = 400;
const TYPING_MS = 2_000; // Whoever never pauses is saved this often.

export type SaveState =
  | { kind: "saved" }
  /** It is typed, or on its way. */
  | { kind: "saving" }
  | { kind: "failed"; reason: string };

export type Shown = { text: NoteText; state: SaveState };

type Options = {
  save: (edit: Edit) => Promise<NoteEdited>;
  reasonOf: (error: unknown) => string;
  /** Both changed the same words: they stand there twice now. */
  onConflict: () => void;
  /** What could not be saved when nobody looked at it any more. */
  onLost: (text: NoteText, reason: string) => void;
};

const SAVED: SaveState = { kind: "saved" };
const SAVING: SaveState = { kind: "saving" };

export class NoteSession {
  readonly #options: Options;
  readonly #listeners = new Set<() => void>();
  #draft: Draft;
  #failed: SaveState | null = null;
  #shown: Shown;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #unsentSince: number | null = null;
  #isOpen = true;

  constructor(version: number, text: NoteText, options: Options) {
    this.#options = options;
    this.#draft = open(version, text);
    this.#shown = { text, state: SAVED };
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly shown = (): Shown => this.#shown;

  get isClean(): boolean {
    return isClean(this.#draft);
  }

  type(text: NoteText): void {
    this.#failed = null;
    this.#become(typed(this.#draft, text));
    this.#schedule();
  }

  /** While text is composed, as an input method does it, nothing is taken over. */
  hold(isHeld: boolean): void {
    this.#become(held(this.#draft, isHeld));
  }

  arrive(version: number, text: NoteText): void {
    this.#become(arrived(this.#draft, version, text));
  }

  /** Send at once what waits. */
  readonly flush = (): void => {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#unsentSince = null;
    const [draft, edit] = send(this.#draft);
    if (edit === null) {
      return;
    }
    this.#failed = null;
    this.#become(draft);
    this.#options.save(edit).then(
      ({ base, conflict }) => this.#answered(base, conflict),
      (error: unknown) => this.#refused(this.#options.reasonOf(error)),
    );
  };

  /** Somebody looks at the note, or nobody any more: what is typed is saved in any case. */
  open(): void {
    this.#isOpen = true;
  }

  close(): void {
    this.#isOpen = false;
    this.flush();
  }

  #answered(base: number, conflict: boolean): void {
    this.#become(answered(this.#draft, base));
    if (conflict) {
      this.#options.onConflict();
    }
    if (!this.#isOpen) {
      this.flush();
    } else if (this.#timer === undefined) {
      this.#schedule(); // Its time came while the last edit was on its way.
    }
  }

  #refused(reason: string): void {
    this.#failed = { kind: "failed", reason };
    this.#become(refused(this.#draft));
    if (!this.#isOpen) {
      this.#options.onLost(this.#draft.text, reason);
    }
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (!hasUnsent(this.#draft)) {
      this.#unsentSince = null;
      return;
    }
    const now = Date.now();
    this.#unsentSince ??= now;
    const left = Math.max(0, this.#unsentSince + TYPING_MS - now);
    this.#timer = setTimeout(this.flush, Math.min(QUIET_MS, left));
  }

  #become(draft: Draft): void {
    this.#draft = draft;
    const state = this.#failed ?? (isClean(draft) ? SAVED : SAVING);
    if (draft.text !== this.#shown.text || state !== this.#shown.state) {
      this.#shown = { text: draft.text, state };
      for (const listener of this.#listeners) {
        listener();
      }
    }
  }
}
