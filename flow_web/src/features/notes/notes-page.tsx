/** The notes: a list with its tags, beside the open one; on a phone one after the other. */
import { useQuery } from "convex/react";
import { useCallback, useMemo, useState } from "react";
import type { CSSProperties } from "react";

import { api } from "../../sync/api";
import type { NoteId, NoteSummary } from "../../sync/api";
import { dateIn, dayLabel, timeIn } from "../../ui/dates";
import { useHomeDay } from "../../ui/home-day";
import { hueOf } from "../../ui/hue";
import { NotesIcon, PinIcon, PlusIcon } from "../../ui/icons";
import { Empty } from "../../ui/page";
import { usePageKeys } from "../../ui/shortcut";
import { NoteView } from "./note-view";
import styles from "./notes-page.module.css";
import { nameOf, useNoteActions } from "./use-note-actions";

type NotesPageProps = {
  note: NoteId | undefined;
  listLink: string;
  linkTo: (note: NoteId) => string;
  onGo: (link: string) => void;
};

export const NotesPage = ({ note, listLink, linkTo, onGo }: NotesPageProps) => {
  const notes = useQuery(api.notes.list, {});
  // A note that was made here a moment ago is there to be written.
  const [made, setMade] = useState<NoteId | null>(null);
  const onMade = useCallback(
    (id: NoteId) => {
      setMade(id);
      onGo(linkTo(id));
    },
    [linkTo, onGo],
  );
  const onRemoved = useCallback(() => onGo(listLink), [listLink, onGo]);
  const actions = useNoteActions(onMade, onRemoved);
  usePageKeys((key) => {
    if (key.toLowerCase() === "n") {
      actions.create();
    }
    return key.toLowerCase() === "n";
  });

  return (
    <div className={styles.split} data-open={note !== undefined || undefined}>
      <section className={styles.side} aria-label="All notes">
        <header className={styles.header}>
          <h1>Notes</h1>
          <button
            type="button"
            className="button"
            aria-keyshortcuts="N"
            onClick={() => actions.create()}
          >
            <PlusIcon /> New note
          </button>
        </header>
        {notes === undefined ? (
          <div aria-busy="true" />
        ) : (
          <NoteList notes={notes} current={note} linkTo={linkTo} />
        )}
      </section>
      {note !== undefined ? (
        <NoteView
          key={note}
          id={note}
          isNew={note === made}
          listLink={listLink}
          actions={actions}
        />
      ) : (
        notes !== undefined &&
        notes.length > 0 && (
          <div className={styles.none}>
            <Empty icon={<NotesIcon />} title="No note is open">
              Choose one from the list, or press <kbd>N</kbd> for a new one.
            </Empty>
          </div>
        )
      )}
    </div>
  );
};

type NoteListProps = {
  notes: readonly NoteSummary[];
  current: NoteId | undefined;
  linkTo: (note: NoteId) => string;
};

const NoteList = ({ notes, current, linkTo }: NoteListProps) => {
  const [wanted, setWanted] = useState<string | null>(null);
  const tags = useMemo(() => tagsOf(notes), [notes]);
  // The last note with a tag may lose it while the list is narrowed to it.
  const tag = tags.find((each) => each.toLowerCase() === wanted?.toLowerCase());
  const shown =
    tag === undefined
      ? notes
      : notes.filter((note) => note.tags.some((each) => each.toLowerCase() === tag.toLowerCase()));

  if (notes.length === 0) {
    return (
      <Empty icon={<NotesIcon />} title="No notes yet">
        A note is a page of Markdown. Two people can write in it at once; nobody’s words get lost.
      </Empty>
    );
  }
  return (
    <>
      {tags.length > 0 && (
        <div className={styles.tags} role="group" aria-label="Only notes with the tag">
          {tags.map((each) => (
            <button
              key={each}
              type="button"
              className={styles.tag}
              style={{ "--hue": hueOf(each) } as CSSProperties}
              aria-pressed={each === tag}
              onClick={() => setWanted(each === tag ? null : each)}
            >
              {each}
            </button>
          ))}
        </div>
      )}
      <ul className={styles.list}>
        {shown.map((note) => (
          <li key={note._id}>
            <NoteRow note={note} isCurrent={note._id === current} link={linkTo(note._id)} />
          </li>
        ))}
      </ul>
    </>
  );
};

/** Return the tags in use, once each in whatever letters, by the alphabet. */
const tagsOf = (notes: readonly NoteSummary[]): string[] => {
  const tags = new Map(notes.flatMap((note) => note.tags).map((tag) => [tag.toLowerCase(), tag]));
  return [...tags.values()].toSorted((a, b) => a.localeCompare(b));
};

type NoteRowProps = { note: NoteSummary; isCurrent: boolean; link: string };

const NoteRow = ({ note, isCurrent, link }: NoteRowProps) => {
  const { zone, today } = useHomeDay();
  const date = dateIn(zone, note.edited_at);
  const edited = date === today ? timeIn(zone, note.edited_at) : dayLabel(date, today);
  return (
    <a href={link} className={styles.row} aria-current={isCurrent ? "page" : undefined}>
      <span className={styles.title}>
        <span className={styles.name}>{nameOf(note)}</span>
        {note.pinned && (
          <span className={styles.pinned} title="Pinned">
            <PinIcon />
            <span className="visually-hidden">Pinned</span>
          </span>
        )}
      </span>
      <span className={styles.meta}>
        <time>{edited}</time>
        {note.tags.length > 0 && <span> · {note.tags.join(", ")}</span>}
      </span>
      {note.title !== "" && note.excerpt !== "" && (
        <span className={styles.excerpt}>{note.excerpt}</span>
      )}
    </a>
  );
};
