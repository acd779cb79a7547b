/** What left the inbox lately, with the way to what it became. */
import { useQuery } from "convex/react";

import { api } from "../../sync/api";
import type { BoardId, Capture, Made, NoteId, TaskId } from "../../sync/api";
import { BellIcon, CheckCircleIcon, NotesIcon } from "../../ui/icons";
import { Section } from "../../ui/page";
import { CaptureText } from "./capture-row";
import styles from "./triaged-list.module.css";

export type ItemLinks = {
  board: (board: BoardId, task: TaskId) => string;
  note: (note: NoteId) => string;
  reminders: string;
};

type TriagedListProps = { captures: readonly Capture[]; links: ItemLinks };

export const TriagedList = ({ captures, links }: TriagedListProps) => (
  <Section title="Sorted lately">
    <ul className={styles.list}>
      {captures.map((capture) => (
        <li key={capture._id} className={styles.row}>
          <CaptureText capture={capture} />
          {capture.became !== null && <Became made={capture.became} links={links} />}
        </li>
      ))}
    </ul>
  </Section>
);

const Became = ({ made, links }: { made: Made; links: ItemLinks }) => {
  switch (made.kind) {
    case "task":
      return <BecameTask task={made.id as TaskId} linkTo={links.board} />;
    case "note":
      return (
        <a className={styles.became} href={links.note(made.id as NoteId)}>
          <NotesIcon /> Note
        </a>
      );
    case "reminder":
      return (
        <a className={styles.became} href={links.reminders}>
          <BellIcon /> Reminder
        </a>
      );
    default:
      return made.kind satisfies never;
  }
};

type BecameTaskProps = { task: TaskId; linkTo: ItemLinks["board"] };

/** The task knows its board, and may be gone. */
const BecameTask = ({ task: id, linkTo }: BecameTaskProps) => {
  const task = useQuery(api.tasks.get, { task: id });
  if (task === null) {
    return <span className={styles.became}>Task, removed</span>;
  }
  return (
    <a className={styles.became} href={task && linkTo(task.board, id)}>
      <CheckCircleIcon /> {task?.completed_at ? "Task, done" : "Task"}
    </a>
  );
};
