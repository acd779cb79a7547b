/** One column of a board: heading, cards, and a line to add one. */
import { memo, useId, useRef } from "react";

import type { Column, Task, TaskId } from "../../sync/api";
import { isProvisional } from "../../sync/optimistic";
import { ProgressMark } from "../../ui/icons";
import { AddCard } from "./add-card";
import { Card } from "./card";
import styles from "./column.module.css";
import { useColumnDrop } from "./use-column-drop";

type ColumnProps = {
  column: Column;
  /** How far along the board the column stands: 0 for the first, 1 for the last. */
  part: number;
  tasks: readonly Task[];
  /** The card that holds the board's one tab stop, if it is in this column. */
  active: TaskId | null;
};

export const ColumnView = memo(function ColumnView({ column, part, tasks, active }: ColumnProps) {
  const section = useRef<HTMLElement>(null);
  const list = useRef<HTMLUListElement>(null);
  const titleId = useId();
  const first = tasks.find((task) => !isProvisional(task))?._id ?? null;
  const end = useColumnDrop(section, list, column.key, first);

  return (
    <section
      ref={section}
      className={styles.column}
      data-column-key={column.key}
      data-drop-end={end ?? undefined}
      aria-labelledby={titleId}
    >
      <header className={styles.header}>
        <ProgressMark part={part} />
        <h2 id={titleId}>{column.title}</h2>
        <span className={styles.count}>
          {tasks.length}
          <span className="visually-hidden">{tasks.length === 1 ? " card" : " cards"}</span>
        </span>
      </header>
      <ul ref={list} className={styles.list} data-empty={tasks.length === 0 || undefined}>
        {tasks.map((task) => (
          <Card key={task._id} task={task} active={task._id === active} />
        ))}
      </ul>
      <AddCard column={column} />
    </section>
  );
});

/** A column whose cards are still on their way, in its final size. */
export const ColumnSkeleton = ({ column, part }: { column: Column; part: number }) => (
  <section className={styles.column} data-column-key={column.key} aria-busy="true">
    <header className={styles.header}>
      <ProgressMark part={part} />
      <h2>{column.title}</h2>
    </header>
    <div className={styles.skeleton} />
    <div className={styles.skeleton} />
  </section>
);
