/** The line on top of every page: what is typed is read as it is typed, and shown as chips. */
import { useEffect, useRef, useState } from "react";
import type { ClipboardEvent, KeyboardEvent, ReactNode } from "react";

import type { BoardId, Hint, QuickAdded } from "../../sync/api";
import { asOneLine } from "../../sync/lines";
import { PlusIcon } from "../../ui/icons";
import { linesOf } from "../../ui/lines";
import { useNotices } from "../../ui/notices";
import { PasteDialog } from "../../ui/paste-dialog";
import { usePageKeys } from "../../ui/shortcut";
import { Chips, spoken } from "./chips";
import { accepted, edited, EMPTY, keptAsText, lineOf, piecesOf } from "./draft";
import type { Draft } from "./draft";
import styles from "./quick-add-bar.module.css";
import { useQuickAdd } from "./use-quick-add";
import { useReading } from "./use-reading";
import type { Reading } from "./use-reading";

/** The most that the server takes of a line, in characters. */
const LINE_MAX = 2_000;
const SPOKEN_AFTER_MS = 500;

type QuickAddBarProps = {
  /** The board that is shown, and where tasks go: its title is said. */
  board: { _id: BoardId; title: string } | undefined;
  onOpen: (added: QuickAdded) => void;
  /** What stands beside the line. */
  children?: ReactNode;
};

export const QuickAddBar = ({ board, onOpen, children }: QuickAddBarProps) => {
  const field = useRef<HTMLInputElement>(null);
  const [draft, setDraft] = useState(EMPTY);
  const [focused, setFocused] = useState(false);
  const [pasted, setPasted] = useState<readonly string[] | null>(null);
  const reading = useReading(draft);
  const add = useQuickAdd({ board: board?._id, onOpen });
  useSpoken(reading, focused);

  usePageKeys((key) => {
    if (key.toLowerCase() === "q") {
      field.current?.focus();
      return true;
    }
    return false;
  });

  const save = (open: boolean) => {
    if (draft.text.trim() === "") {
      return;
    }
    const refused = draft;
    setDraft(EMPTY);
    // A line that was refused comes back, unless another one has been begun.
    const onRefused = () => setDraft((now) => (now.text === "" ? refused : now));
    add({ line: lineOf(draft).trim(), open, onRefused });
  };
  const onKeyDown = (event: KeyboardEvent<HTMLInputElement>) => {
    const action = event.nativeEvent.isComposing
      ? undefined
      : actionOf(event, event.currentTarget, reading);
    if (action === undefined) {
      return;
    }
    event.preventDefault();
    if (action.kind === "save") {
      save(action.open);
    } else if (action.kind === "close") {
      field.current?.blur();
    } else {
      setDraft((now) => action.change(now));
    }
  };
  const onPaste = (event: ClipboardEvent<HTMLInputElement>) => {
    const lines = linesOf(event.clipboardData.getData("text/plain"));
    if (lines.length > 1) {
      event.preventDefault();
      setPasted(lines);
    }
  };

  const open = focused && draft.text.trim() !== "";
  return (
    // It only looks where the focus is: what lies under the line opens and closes with it.
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-element-interactions
    <div
      role="group"
      aria-label="Quick add"
      className={styles.place}
      data-open={open || undefined}
      onFocus={() => setFocused(true)}
      onBlur={(event) => setFocused(event.currentTarget.contains(event.relatedTarget))}
    >
      <div className={styles.box}>
        <div className={styles.line}>
          <PlusIcon />
          <div className={styles.field}>
            <Tints text={draft.text} reading={reading} field={field} />
            <input
              ref={field}
              aria-label="Add a task, note or reminder"
              aria-keyshortcuts="Q"
              placeholder="Add a task, “note: …” or “remind me …”"
              autoComplete="off"
              enterKeyHint="done"
              spellCheck={false}
              maxLength={LINE_MAX}
              value={draft.text}
              onChange={(event) => {
                const text = event.target.value;
                setDraft((now) => edited(now, text));
              }}
              onKeyDown={onKeyDown}
              onPaste={onPaste}
            />
          </div>
          {draft.text === "" && <kbd className={styles.key}>Q</kbd>}
        </div>
        {open && (
          <div className={styles.under}>
            {reading !== undefined && (
              <Chips
                reading={reading}
                onUndo={(span) => {
                  setDraft((now) => keptAsText(now, span));
                  field.current?.focus();
                }}
                onAccept={(hint) => {
                  setDraft((now) => accepted(now, hint));
                  field.current?.focus();
                }}
              />
            )}
            <p className={styles.foot}>
              <span>
                <kbd>Enter</kbd> adds{board !== undefined && ` to ${board.title}`}
              </span>
              <span>
                <kbd>Shift Enter</kbd> and opens it
              </span>
              <span>
                <kbd>Esc</kbd> closes, keeps the line
              </span>
            </p>
            <button
              type="button"
              className={`button ${styles.save}`}
              data-kind="primary"
              onClick={() => save(false)}
            >
              Add
            </button>
          </div>
        )}
      </div>
      {children}
      {pasted !== null && (
        <PasteDialog
          lines={pasted}
          onClose={() => setPasted(null)}
          onMany={() => {
            for (const line of pasted) {
              add({ line, open: false, onRefused: () => undefined });
            }
            setPasted(null);
          }}
          onOne={() => {
            setDraft((now) => edited(now, now.text + asOneLine(pasted)));
            setPasted(null);
          }}
        />
      )}
    </div>
  );
};

type Action =
  | { kind: "save"; open: boolean }
  | { kind: "close" }
  | { kind: "change"; change: (draft: Draft) => Draft };

/** Return what a key does in the field; without an answer it types, or goes on as usual. */
const actionOf = (
  { key, shiftKey, ctrlKey, metaKey, altKey }: KeyboardEvent,
  { selectionStart: caret, selectionEnd }: HTMLInputElement,
  reading: Reading | undefined,
): Action | undefined => {
  if (key === "Enter") {
    return { kind: "save", open: shiftKey };
  }
  if (key === "Escape") {
    return { kind: "close" };
  }
  if (reading === undefined || caret === null || caret !== selectionEnd) {
    return undefined;
  }
  if (key === "Backspace" && !ctrlKey && !metaKey && !altKey) {
    const span = reading.spans.find(({ end }) => end === caret);
    return span && { kind: "change", change: (draft) => keptAsText(draft, span) };
  }
  if (key === "Tab" && !shiftKey) {
    const hint = hintAt(reading.hints, caret);
    return hint && { kind: "change", change: (draft) => accepted(draft, hint) };
  }
  return undefined;
};

const hintAt = (hints: readonly Hint[], caret: number): Hint | undefined =>
  hints.find(({ start, end }) => start <= caret && caret <= end + 1);

type TintsProps = {
  text: string;
  reading: Reading | undefined;
  field: React.RefObject<HTMLInputElement | null>;
};

/** The same text under the field's own, invisible but for its tints; it scrolls with the field. */
const Tints = ({ text, reading, field }: TintsProps) => {
  const ref = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const input = field.current;
    const follow = () => {
      if (ref.current !== null && input !== null) {
        ref.current.scrollLeft = input.scrollLeft;
      }
    };
    follow();
    input?.addEventListener("scroll", follow);
    return () => input?.removeEventListener("scroll", follow);
  });
  const tinted = [
    ...(reading?.spans.map(({ start, end, kind }) => ({ start, end, kind })) ?? []),
    ...(reading?.hints.map(({ start, end }) => ({ start, end, kind: "hint" })) ?? []),
  ];
  return (
    <div ref={ref} className={styles.tints} aria-hidden="true">
      {piecesOf(text, tinted).map(({ text: piece, start, range }) => (
        <span key={start} data-tint={range?.kind}>
          {piece}
        </span>
      ))}
    </div>
  );
};

/** Say what was understood, once typing has stopped for a moment. */
const useSpoken = (reading: Reading | undefined, focused: boolean): void => {
  const { announce } = useNotices();
  const words = reading !== undefined && focused ? spoken(reading) : "";
  useEffect(() => {
    if (words === "") {
      return undefined;
    }
    const timer = setTimeout(() => announce(words), SPOKEN_AFTER_MS);
    return () => clearTimeout(timer);
  }, [announce, words]);
};
