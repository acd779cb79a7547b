/** What a user can do to the cards of a board: shown at once, undone if the server refuses. */
import { useConvex } from "convex/react";
import { useMemo } from "react";

import { api } from "../../sync/api";
import type { Board, Place, Task, TaskId } from "../../sync/api";
import {
  completionOf,
  provisionalId,
  showAdd,
  showComplete,
  showDue,
  showEdit,
  showMove,
  showRemove,
  showReopen,
} from "../../sync/optimistic";
import { positionAt, standsAt } from "../../sync/order";
import { refusalText } from "../../sync/refusal";
import { dueLabel } from "../../ui/dates";
import { useNotices } from "../../ui/notices";
import { dueOf } from "../../ui/when-menu";
import type { When } from "../../ui/when-menu";
import { addKey } from "./changed-cards";
import type { ChangedCards } from "./changed-cards";

export type TaskActions = {
  add: (column: string, title: string) => void;
  move: (task: TaskId, place: Place) => void;
  edit: (task: Task, patch: { title?: string; body?: string }) => void;
  /** `when`: null takes the date away. `today`: the date at home, to say it in words. */
  setDue: (task: Task, when: When | null, today: string) => void;
  toggle: (task: Task) => void;
  remove: (task: Task) => void;
};

export const useTaskActions = (board: Board, changed: ChangedCards): TaskActions => {
  const client = useConvex();
  const { announce, toast } = useNotices();

  return useMemo(() => {
    // Told to be mine before the screen changes, and explained if it changes back.
    const follow = (key: string, done: Promise<unknown>, what: string): void => {
      changed.claim(key, done);
      done.catch((error: unknown) => toast(`${what} ${refusalText(error)}`));
    };
    const shown = (): readonly Task[] =>
      client.watchQuery(api.tasks.list, { board: board._id }).localQueryResult() ?? [];
    const columnTitle = (key: string): string =>
      board.columns.find((column) => column.key === key)?.title ?? key;

    return {
      add: (column, title) => {
        const optimisticUpdate = showAdd(provisionalId(), Date.now());
        const args = { board: board._id, title, column };
        const done = client.mutation(api.tasks.add, args, { optimisticUpdate });
        follow(addKey(column, title), done, `“${title}” was not added.`);
        announce(`${title} added to ${columnTitle(column)}`);
      },
      move: (id, place) => {
        const before = shown();
        const task = before.find((candidate) => candidate._id === id);
        if (task === undefined || standsAt(before, task, place)) {
          return;
        }
        const done = client.mutation(
          api.tasks.move,
          { task: id, ...place },
          { optimisticUpdate: showMove },
        );
        const { position, count } = positionAt(before, id, place);
        follow(id, done, `“${task.title}” went back to ${columnTitle(task.column)}.`);
        announce(`${task.title} moved to ${columnTitle(place.column)}, ${position} of ${count}`);
      },
      edit: (task, patch) => {
        const done = client.mutation(
          api.tasks.edit,
          { task: task._id, ...patch },
          { optimisticUpdate: showEdit },
        );
        follow(task._id, done, `“${task.title}” was not changed.`);
        announce(`${patch.title ?? task.title} saved`);
      },
      setDue: (task, when, today) => {
        const done = client.mutation(
          api.tasks.set_due,
          { task: task._id, ...dueOf(when, task.zone) },
          { optimisticUpdate: showDue },
        );
        follow(task._id, done, `“${task.title}” was not changed.`);
        announce(
          when === null
            ? `${task.title} has no date now`
            : `${task.title} is due ${dueLabel(when.date, when.time, today)}`,
        );
      },
      toggle: (task) => {
        const open = task.completed_at === null;
        const args = { task: task._id };
        const done = open
          ? client.mutation(api.tasks.complete, completionOf(task), {
              optimisticUpdate: showComplete(Date.now()),
            })
          : client.mutation(api.tasks.reopen, args, { optimisticUpdate: showReopen });
        follow(task._id, done, `“${task.title}” was not changed.`);
        announce(open ? `${task.title} completed` : `${task.title} reopened`);
      },
      remove: (task) => {
        const args = { task: task._id };
        const done = client.mutation(api.tasks.remove, args, { optimisticUpdate: showRemove });
        follow(task._id, done, `“${task.title}” was not removed.`);
        announce(`${task.title} removed`);
      },
    };
  }, [announce, board, changed, client, toast]);
};
