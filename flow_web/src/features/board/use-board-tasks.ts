/** The cards of a board by column; what did not change keeps its identity, and so its rendering. */
import { useState } from "react";

import type { Column, Task } from "../../sync/api";
import { inColumn } from "../../sync/order";
import { keepList, keepTasks } from "../../sync/unchanged";

export type BoardTasks = {
  tasks: readonly Task[];
  byColumn: ReadonlyMap<string, readonly Task[]>;
};

const group = (
  tasks: readonly Task[],
  columns: readonly Column[],
  previous: BoardTasks | undefined,
): BoardTasks => ({
  tasks,
  byColumn: new Map(
    columns.map(({ key }) => [key, keepList(previous?.byColumn.get(key), inColumn(tasks, key))]),
  ),
});

export const useBoardTasks = (
  columns: readonly Column[],
  received: readonly Task[] | undefined,
): BoardTasks | undefined => {
  const [kept, setKept] = useState<BoardTasks>();
  const [keptColumns, setKeptColumns] = useState(columns);
  if (received === undefined) {
    return undefined;
  }
  const tasks = keepTasks(kept?.tasks ?? [], received);
  if (kept !== undefined && tasks === kept.tasks && columns === keptColumns) {
    return kept;
  }
  // Setting state while rendering replaces this render; the next one finds nothing to change.
  const next = group(tasks, columns, kept);
  setKept(next);
  setKeptColumns(columns);
  return next;
};
