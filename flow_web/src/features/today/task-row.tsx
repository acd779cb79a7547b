/** A task in a list of days: tick it off, put it off, or go to its board. */
import { memo } from "react";
import type { MouseEvent } from "react";

import type { Board, BoardId, Task, TaskId } from "../../sync/api";
import { DueChip, PriorityMark, RepeatMark } from "../../ui/due-chip";
import { CheckIcon, ClockIcon } from "../../ui/icons";
import styles from "./task-row.module.css";

export type TaskRowProps = {
  task: Task;
  board: Board | undefined;
  timeOnly?: boolean;
  linkTo: (board: BoardId, task: TaskId) => string;
  onComplete: (task: Task) => void;
  onReschedule: (task: Task, anchor: DOMRect) => void;
};

export const TaskRow = memo(function TaskRow({ task, board, ...rest }: TaskRowProps) {
  const { timeOnly = false, linkTo, onComplete, onReschedule } = rest;
  const reschedule = (event: MouseEvent<HTMLButtonElement>) =>
    onReschedule(task, event.currentTarget.getBoundingClientRect());

  return (
    <li className={styles.row} data-task-id={task._id}>
      <button
        type="button"
        role="checkbox"
        aria-checked={false}
        aria-label={`Done: ${task.title}`}
        className={styles.check}
        onClick={() => onComplete(task)}
      >
        <span className={styles.circle}>
          <CheckIcon />
        </span>
      </button>
      <div className={styles.text}>
        <span className={styles.title}>{task.title}</span>
        <span className={styles.meta}>
          <DueChip due={task} timeOnly={timeOnly} />
          {task.rule && <RepeatMark />}
          {task.priority && <PriorityMark priority={task.priority} />}
          {board !== undefined && (
            <a href={linkTo(board._id, task._id)} className={styles.board}>
              {board.title}
            </a>
          )}
        </span>
      </div>
      <button
        type="button"
        className={`icon-button ${styles.reschedule}`}
        aria-label={`Reschedule: ${task.title}`}
        aria-haspopup="dialog"
        title="Reschedule"
        onClick={reschedule}
      >
        <ClockIcon />
      </button>
    </li>
  );
});
