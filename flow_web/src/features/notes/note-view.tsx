/** One note: read as its author meant it, or written as Markdown; saved while one types. */
import { useConvex, useQuery } from "convex/react";
import { useEffect, useRef, useState, useSyncExternalStore } from "react";

import { api } from "../../sync/api";
import type { Note, NoteId } from "../../sync/api";
import { refusalText } from "../../sync/refusal";
import { BackIcon, CheckIcon, PenIcon, PinIcon, TrashIcon, WarningIcon } from "../../ui/icons";
import { useNotices } from "../../ui/notices";
import type { Notices } from "../../ui/notices";
import { Empty } from "../../ui/page";
import { usePageKeys } from "../../ui/shortcut";
import { NoteEditor } from "./note-editor";
import { NoteReader } from "./note-reader";
import { NoteSession } from "./note-session";
import type { SaveState } from "./note-session";
import { NoteTags } from "./note-tags";
import styles from "./note-view.module.css";
import { nameOf } from "./use-note-actions";
import type { NoteActions } from "./use-note-actions";

type Open = { note: Note; html: string };

type NoteViewProps = {
  id: NoteId;
  /** It was made a moment ago, to be written. */
  isNew: boolean;
  listLink: string;
  actions: NoteActions;
};

export const NoteView = ({ id, isNew, listLink, actions }: NoteViewProps) => {
  const found = useQuery(api.notes.get, { note: id });
  // Someone may remove it while somebody else writes in it: their text stays in sight.
  const [open, setOpen] = useState<Open | undefined>();
  if (found && found !== open) {
    setOpen(found);
  }
  const shown = found ?? open;
  if (shown !== undefined) {
    return (
      <OpenNote
        open={shown}
        isGone={found === null}
        isNew={isNew}
        listLink={listLink}
        actions={actions}
      />
    );
  }
  return (
    <div className={styles.pane} aria-busy={found === undefined}>
      {found === null && (
        <Empty icon={<WarningIcon />} title="No such note">
          It was removed, or the address is not that of a note.{" "}
          <a href={listLink}>Show all notes</a>
        </Empty>
      )}
    </div>
  );
};

type OpenNoteProps = {
  open: Open;
  isGone: boolean;
  isNew: boolean;
  listLink: string;
  actions: NoteActions;
};

const OpenNote = ({ open, isGone, isNew, listLink, actions }: OpenNoteProps) => {
  const { note, html } = open;
  const session = useNoteSession(note, actions);
  const { text, state } = useSyncExternalStore(session.subscribe, session.shown);
  const [isWriting, setIsWriting] = useState(isNew);
  const modeButton = useRef<HTMLButtonElement>(null);
  const read = () => {
    session.flush();
    setIsWriting(false);
  };
  usePageKeys((key) => {
    const wanted = key.toLowerCase() === "e" && !isWriting;
    if (wanted) {
      setIsWriting(true);
    }
    return wanted;
  });

  return (
    <article className={styles.pane} aria-label={nameOf(text)}>
      <div className={styles.bar}>
        <a href={listLink} className={`icon-button ${styles.back}`} aria-label="All notes">
          <BackIcon />
        </a>
        <SaveLine
          state={isGone ? GONE : state}
          onRetry={isGone ? null : session.flush}
          onKeep={() => actions.create({ ...text, tags: note.tags })}
        />
        <button
          ref={modeButton}
          type="button"
          className={`button ${styles.mode}`}
          aria-keyshortcuts={isWriting ? "Escape" : "E"}
          onClick={() => (isWriting ? read() : setIsWriting(true))}
        >
          {isWriting ? <CheckIcon /> : <PenIcon />}
          {isWriting ? "Done" : "Edit"}
        </button>
        <button
          type="button"
          className={`icon-button ${styles.pin}`}
          aria-label="Pin"
          aria-pressed={note.pinned}
          title={note.pinned ? "Unpin" : "Pin to the top"}
          onClick={() => actions.pin(note, !note.pinned)}
        >
          <PinIcon />
        </button>
        <button
          type="button"
          className="icon-button"
          aria-label="Remove this note"
          title="Remove"
          onClick={() => actions.remove(note, text)}
        >
          <TrashIcon />
        </button>
      </div>
      {isWriting ? (
        <NoteEditor
          text={text}
          isNew={isNew}
          onType={(typed) => session.type(typed)}
          onCompose={(isComposing) => session.hold(isComposing)}
          onLeave={() => {
            read();
            modeButton.current?.focus();
          }}
        >
          <NoteTags tags={note.tags} onChange={(tags) => actions.tag(note, tags)} />
        </NoteEditor>
      ) : (
        <NoteReader title={nameOf(text)} html={html} isEmpty={text.body.trim() === ""}>
          <NoteTags tags={note.tags} />
        </NoteReader>
      )}
    </article>
  );
};

const GONE: SaveState = { kind: "failed", reason: "someone has removed this note." };

type SaveLineProps = { state: SaveState; onRetry: (() => void) | null; onKeep: () => void };

const SaveLine = ({ state, onRetry, onKeep }: SaveLineProps) => {
  switch (state.kind) {
    case "saved":
    case "saving":
      return (
        <p className={styles.state} data-save={state.kind}>
          {state.kind === "saved" ? "Saved" : "Saving…"}
        </p>
      );
    case "failed":
      return (
        <p className={styles.state} data-save="failed" role="alert">
          <span>Not saved: {state.reason}</span>
          {onRetry !== null && (
            <button type="button" onClick={onRetry}>
              Try again
            </button>
          )}
          <button type="button" onClick={onKeep}>
            Keep as a new note
          </button>
        </p>
      );
    default:
      return state satisfies never;
  }
};

const CONFLICT =
  "Someone changed the same words. Yours stay; theirs stand below them, in a quote.";

/** Return what saves this note, for as long as it is shown, and until all of it is saved. */
const useNoteSession = (note: Note, actions: NoteActions): NoteSession => {
  const client = useConvex();
  const notices = useLatest(useNotices());
  const latest = useLatest({ note, actions });
  const [session] = useState(() => {
    const { _id, version, title, body } = note;
    return new NoteSession(version, { title, body }, {
      save: (edit) => client.mutation(api.notes.edit, { note: _id, ...edit }),
      reasonOf: refusalText,
      onConflict: () => notices.current.toast(CONFLICT),
      onLost: (text, reason) =>
        tellLost(notices.current, nameOf(text), reason, () =>
          latest.current.actions.create({ ...text, tags: latest.current.note.tags }),
        ),
    });
  });

  useEffect(() => {
    session.arrive(note.version, { title: note.title, body: note.body });
  }, [note, session]);
  useEffect(() => {
    const warn = (event: BeforeUnloadEvent) => {
      session.flush();
      if (!session.isClean) {
        event.preventDefault(); // The browser asks before what is typed is gone.
      }
    };
    session.open();
    window.addEventListener("beforeunload", warn);
    window.addEventListener("pagehide", session.flush);
    return () => {
      window.removeEventListener("beforeunload", warn);
      window.removeEventListener("pagehide", session.flush);
      session.close();
    };
  }, [session]);
  return session;
};

const tellLost = (
  { toast }: Notices,
  name: string,
  reason: string,
  onKeep: () => void,
): void =>
  toast(`“${name}” was not saved. ${reason}`, { label: "Keep as a new note", run: onKeep });

const useLatest = <T,>(value: T): { readonly current: T } => {
  const ref = useRef(value);
  useEffect(() => {
    ref.current = value;
  });
  return ref;
};
