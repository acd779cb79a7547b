/** Finds tasks and notes while one types; the arrows choose, Enter opens, Escape leaves. */
import { useQuery } from "convex/react";
import { useId, useLayoutEffect, useMemo, useRef, useState } from "react";
import type { KeyboardEvent, ReactNode } from "react";

import { api } from "../../sync/api";
import type { Board, BoardId, FoundNote, FoundTask, NoteId, Snippet, TaskId } from "../../sync/api";
import { ColumnsIcon, NotesIcon, SearchIcon } from "../../ui/icons";
import styles from "./search-dialog.module.css";

const SHOWN = 8;
const LENGTH_MAX = 200;

type SearchDialogProps = {
  boards: readonly Board[];
  linkToTask: (board: BoardId, task: TaskId) => string;
  linkToNote: (note: NoteId) => string;
  onGo: (link: string) => void;
  onClose: () => void;
};

export const SearchDialog = ({ onClose, ...rest }: SearchDialogProps) => {
  const dialog = useRef<HTMLDialogElement>(null);
  const [text, setText] = useState("");
  const [chosen, setChosen] = useState(0);
  const listId = useId();
  const found = useFound(text);
  const count = found === undefined ? 0 : found.tasks.length + found.notes.length;
  const at = Math.min(chosen, count - 1);
  // A layout effect, so that it closes while it is still in the page: the focus then returns.
  useLayoutEffect(() => {
    const element = dialog.current;
    element?.showModal();
    return () => element?.close();
  }, []);

  const options = () => [...(dialog.current?.querySelectorAll<HTMLElement>("[role=option]") ?? [])];
  const onKeyDown = (event: KeyboardEvent) => {
    const rows = options();
    const step = event.nativeEvent.isComposing ? undefined : STEPS[event.key];
    if (step !== undefined && count > 0) {
      event.preventDefault();
      const next = (at + step + count) % count;
      setChosen(next);
      rows[next]?.scrollIntoView({ block: "nearest" });
    } else if (event.key === "Enter" && !event.nativeEvent.isComposing) {
      event.preventDefault();
      rows[at]?.click();
    }
  };

  return (
    // A click on the backdrop is one on the dialog itself; Escape does the same for the keyboard.
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-element-interactions
    <dialog
      ref={dialog}
      className={styles.dialog}
      aria-label="Search"
      onKeyDown={onKeyDown}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onPointerDown={(event) => {
        if (event.target === dialog.current) {
          event.preventDefault();
          onClose();
        }
      }}
    >
      <div className={styles.line}>
        <SearchIcon />
        <input
          role="combobox"
          aria-label="Search tasks and notes"
          aria-autocomplete="list"
          aria-expanded={count > 0}
          aria-controls={listId}
          aria-activedescendant={count > 0 ? `${listId}-${at}` : undefined}
          placeholder="Search tasks and notes"
          autoComplete="off"
          enterKeyHint="go"
          spellCheck={false}
          maxLength={LENGTH_MAX}
          value={text}
          onChange={(event) => {
            setText(event.target.value);
            setChosen(0);
          }}
        />
        <button type="button" className={styles.leave} onClick={onClose}>
          <kbd>Esc</kbd> <span>Close</span>
        </button>
      </div>
      {/* Always there, since a region that comes with its words in it is not read aloud. */}
      <p className={found && count === 0 ? styles.said : "visually-hidden"} role="status">
        {found && outcome(found)}
      </p>
      {text.trim() === "" ? (
        <p className={styles.hint}>Words of a title, a label, a tag or a text.</p>
      ) : (
        <Results {...rest} found={found} listId={listId} chosen={at} onClose={onClose} />
      )}
    </dialog>
  );
};

const STEPS: Readonly<Record<string, 1 | -1>> = { ArrowDown: 1, ArrowUp: -1 };

type Found = {
  tasks: readonly FoundTask[];
  notes: readonly FoundNote[];
  /** Whether more was found than is shown. */
  more: boolean;
};

const counted = (found: readonly object[], what: string): string =>
  `${found.length} ${what}${found.length === 1 ? "" : "s"}`;

/** What is found, for those who hear the list and do not see it. */
const outcome = ({ tasks, notes, more }: Found): string =>
  tasks.length + notes.length === 0
    ? "Nothing has all of these words."
    : `${counted(tasks, "task")}, ${counted(notes, "note")}${more ? ", and more" : ""}`;

const LETTERS_MAX = 64;
const SIGNS_MAX = 30;

/** The server searches for 32 words at most; of Chinese and Japanese each pair of signs is one. */
const cut = (text: string): string =>
  text.trim().slice(0, /[\u3041-\u9fff]/u.test(text) ? SIGNS_MAX : LETTERS_MAX);

type Answers = { tasks: readonly FoundTask[]; notes: readonly FoundNote[] };

const shownOf = ({ tasks, notes }: Answers): Found => ({
  tasks: tasks.slice(0, SHOWN),
  notes: notes.slice(0, SHOWN),
  more: tasks.length > SHOWN || notes.length > SHOWN,
});

const useFound = (text: string): Found | undefined => {
  const asked = text.trim() === "" ? "skip" : { text: cut(text), count: SHOWN + 1 };
  const newTasks = useQuery(api.tasks.search, asked);
  const newNotes = useQuery(api.notes.search, asked);
  const [last, setLast] = useState<Answers>();
  // What was found for the letters before stays until the answer comes: nothing flickers.
  if (newTasks !== undefined && newNotes !== undefined) {
    if (last?.tasks !== newTasks || last.notes !== newNotes) {
      setLast({ tasks: newTasks, notes: newNotes });
    }
  }

  if (asked === "skip" && last !== undefined) {
    setLast(undefined);
  }
  return useMemo(() => last && shownOf(last), [last]);
};

type ResultsProps = SearchDialogProps & {
  found: Found | undefined;
  listId: string;
  chosen: number;
};

const Results = ({ found, boards, listId, chosen, onClose, ...links }: ResultsProps) => {
  if (found === undefined) {
    return <div className={styles.waiting} aria-busy="true" />;
  }
  const { tasks, notes, more } = found;
  if (tasks.length + notes.length === 0) {
    return null;
  }
  const open = (link: string) => () => {
    onClose();
    links.onGo(link);
  };
  return (
    <>
      <div id={listId} role="listbox" aria-label="Found" className={styles.found}>
        {tasks.length > 0 && (
          <Group title="Tasks">
            {tasks.map((each, at) => (
              <TaskRow
                key={each.task._id}
                id={`${listId}-${at}`}
                found={each}
                board={boards.find(({ _id }) => _id === each.task.board)}
                chosen={at === chosen}
                onOpen={open(links.linkToTask(each.task.board, each.task._id))}
              />
            ))}
          </Group>
        )}
        {notes.length > 0 && (
          <Group title="Notes">
            {notes.map((each, at) => (
              <NoteRow
                key={each.note._id}
                id={`${listId}-${tasks.length + at}`}
                found={each}
                chosen={tasks.length + at === chosen}
                onOpen={open(links.linkToNote(each.note._id))}
              />
            ))}
          </Group>
        )}
      </div>
      {more && (
        <p className={styles.more}>The best {SHOWN} of each are shown. Another word finds fewer.</p>
      )}
    </>
  );
};

const Group = ({ title, children }: { title: string; children: ReactNode }) => (
  <div role="group" aria-label={title}>
    <p className={styles.heading} aria-hidden="true">
      {title}
    </p>
    {children}
  </div>
);

type RowProps = { id: string; chosen: boolean; onOpen: () => void };

type TaskRowProps = RowProps & { found: FoundTask; board: Board | undefined };

const TaskRow = ({ found: { task, snippet }, board, ...row }: TaskRowProps) => (
  <Row
    {...row}
    icon={<ColumnsIcon />}
    title={<Title text={task.title} snippet={snippet} />}
    aside={board?.title}
    done={task.completed_at !== null}
    below={snippet.field === "title" ? undefined : <Marked snippet={snippet} />}
  />
);

const NoteRow = ({ found: { note, snippet }, ...row }: RowProps & { found: FoundNote }) => (
  <Row
    {...row}
    icon={<NotesIcon />}
    title={<Title text={note.title || "Untitled"} snippet={snippet} />}
    below={snippet.field === "title" ? note.excerpt : <Marked snippet={snippet} />}
  />
);

type Shown = RowProps & {
  icon: ReactNode;
  title: ReactNode;
  aside?: string | undefined;
  below?: ReactNode;
  done?: boolean;
};

const Row = ({ id, chosen, onOpen, icon, title, aside, below, done }: Shown) => (
  // The keyboard is the field's, which names the chosen row.
  // oxlint-disable-next-line jsx-a11y/click-events-have-key-events, jsx-a11y/interactive-supports-focus
  <div
    id={id}
    role="option"
    aria-selected={chosen}
    className={styles.row}
    data-done={done || undefined}
    onClick={onOpen}
  >
    {icon}
    <div className={styles.words}>
      <div className={styles.title}>{title}</div>
      {below !== undefined && below !== "" && <div className={styles.below}>{below}</div>}
    </div>
    {aside !== undefined && <span className={styles.aside}>{aside}</span>}
  </div>
);

const Title = ({ text, snippet }: { text: string; snippet: Snippet }) =>
  snippet.field === "title" ? <Marked snippet={snippet} /> : text;

const Marked = ({ snippet }: { snippet: Snippet }) =>
  snippet.parts.map(({ text, hit }, at) =>
    // The parts of one snippet have no other name than their place.
    // oxlint-disable-next-line react/no-array-index-key
    hit ? <mark key={at}>{text}</mark> : text,
  );
