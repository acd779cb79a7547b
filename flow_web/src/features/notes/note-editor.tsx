/** The fields in which a note is written. They take over what others write without losing a place. */
import { useEffect, useId, useLayoutEffect, useRef } from "react";
import type { KeyboardEvent, ReactNode } from "react";

import { TITLE_MAX } from "../../sync/api";
import { conflictsIn } from "./conflicts";
import type { NoteText } from "./draft";
import { writeKeepingPlace } from "./field";
import styles from "./note-view.module.css";

const BODY_MAX = 200_000;

type NoteEditorProps = {
  text: NoteText;
  isNew: boolean;
  onType: (text: NoteText) => void;
  /** Text is being composed, or not any more. */
  onCompose: (isComposing: boolean) => void;
  onLeave: () => void;
  /** What stands between title and text. */
  children: ReactNode;
};

export const NoteEditor = ({ text, isNew, onType, onCompose, onLeave, children }: NoteEditorProps) => {
  const title = useRef<HTMLInputElement>(null);
  const body = useRef<HTMLTextAreaElement>(null);
  const id = useId();

  // The fields hold their own text: what is typed is in them before anyone else knows of it.
  useLayoutEffect(() => {
    if (title.current !== null && body.current !== null) {
      writeKeepingPlace(title.current, text.title);
      writeKeepingPlace(body.current, text.body);
    }
  });
  useEffect(() => {
    const field = isNew ? title.current : body.current;
    field?.focus({ preventScroll: true });
  }, [isNew]);

  const type = () => {
    if (title.current !== null && body.current !== null) {
      onType({ title: title.current.value, body: body.current.value });
    }
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) {
      return;
    }
    if (event.key === "Escape") {
      event.preventDefault();
      onLeave();
    } else if (event.key === "Enter" && event.target === title.current) {
      event.preventDefault();
      body.current?.focus();
    }
  };
  const fields = {
    onChange: type,
    onKeyDown,
    onCompositionStart: () => onCompose(true),
    onCompositionEnd: () => {
      type();
      onCompose(false);
    },
  };
  return (
    <div className={styles.sheet}>
      <h1 className="visually-hidden">{text.title === "" ? "Untitled" : text.title}</h1>
      <input
        ref={title}
        className={styles.titleField}
        aria-label="Title"
        placeholder="Title"
        autoComplete="off"
        enterKeyHint="next"
        maxLength={TITLE_MAX}
        defaultValue={text.title}
        {...fields}
      />
      {children}
      <Conflicts body={text.body} onShow={(start, end) => show(body.current, start, end)} />
      <label htmlFor={id} className="visually-hidden">
        Text, in Markdown
      </label>
      <textarea
        ref={body}
        id={id}
        className={styles.bodyField}
        placeholder="Write. # makes a heading, - a list, **bold**."
        maxLength={BODY_MAX}
        defaultValue={text.body}
        {...fields}
      />
    </div>
  );
};

const show = (field: HTMLTextAreaElement | null, start: number, end: number): void => {
  // Browsers scroll to a caret that is set while the field has the focus, not to a selection.
  field?.blur();
  field?.setSelectionRange(start, start);
  field?.focus();
  field?.setSelectionRange(start, end);
};

type ConflictsProps = { body: string; onShow: (start: number, end: number) => void };

const Conflicts = ({ body, onShow }: ConflictsProps) => {
  const conflicts = conflictsIn(body);
  const [first] = conflicts;
  if (first === undefined) {
    return null;
  }
  return (
    <p className={styles.conflicts}>
      <span>
        {conflicts.length === 1 ? "One place was" : `${conflicts.length} places were`} written by two
        at once. Take what you need from the quote, then delete it.
      </span>
      <button type="button" onClick={() => onShow(first.start, first.end)}>
        Show
      </button>
    </p>
  );
};
