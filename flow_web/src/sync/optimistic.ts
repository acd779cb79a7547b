/**
 * What the screen shows before the server has answered.
 *
 * The client runs each of these again on every new state of the server until the mutation is
 * part of it. So they are pure, tolerate that cards are gone, and copy what they change.
 */
import type { OptimisticLocalStore } from "convex/browser";
import type { FunctionArgs } from "convex/server";

import { api } from "./api";
import type { DateText, Place, Task, TaskId, TimeText } from "./api";
import { dropFromDays, moveInDays, patchInDays } from "./day-lists";
import { newKey } from "./keys";
import { inColumn, provisionalRank, rankBetween, sortTasks } from "./order";

type OptimisticUpdate<Args> = (store: OptimisticLocalStore, args: Args) => void;

const PROVISIONAL = "provisional:";

/** Return an id for a card that the server does not know yet. */
export const provisionalId = (): TaskId => `${PROVISIONAL}${newKey()}` as TaskId;

/** Say whether a card is still on its way to the server: its id means nothing there. */
export const isProvisional = (task: Task): boolean => task._id.startsWith(PROVISIONAL);

const updateBoardOf = (
  store: OptimisticLocalStore,
  id: TaskId,
  update: (tasks: readonly Task[], task: Task) => readonly Task[],
): void => {
  for (const { args, value } of store.getAllQueries(api.tasks.list)) {
    const task = value?.find((candidate) => candidate._id === id);
    if (value !== undefined && task !== undefined) {
      store.setQuery(api.tasks.list, args, sortTasks(update(value, task)));
    }
  }
};

const patchTask = (store: OptimisticLocalStore, id: TaskId, patch: Partial<Task>): void => {
  updateBoardOf(store, id, (tasks, task) =>
    tasks.map((other) => (other === task ? { ...task, ...patch } : other)),
  );
  patchInDays(store, id, patch);
};

export const showMove: OptimisticUpdate<{ task: TaskId } & Place> = (store, { task, ...place }) =>
  updateBoardOf(store, task, (tasks, moved) => {
    const rank = provisionalRank(tasks, task, place);
    return tasks.map((other) =>
      other === moved ? { ...moved, column: place.column, rank } : other,
    );
  });

/** Return an update that adds a card at the end of its column; a replay adds the same card. */
export const showAdd =
  (
    id: TaskId,
    createdAt: number,
  ): OptimisticUpdate<FunctionArgs<typeof api.tasks.add>> =>
  (store, { board, title, column = null }) => {
    const tasks = store.getQuery(api.tasks.list, { board });
    // Without a column the server chooses one: nothing to show before it has.
    if (tasks === undefined || column === null) {
      return;
    }
    const rank = rankBetween(inColumn(tasks, column).at(-1)?.rank ?? null, null);
    const added: Task = {
      _id: id,
      _creationTime: createdAt,
      board,
      column,
      rank,
      title,
      body: "",
      labels: [],
      completed_at: null,
      due_date: null,
      due_time: null,
      zone: null,
      due_at: null,
      priority: null,
      duration: null,
      rule: null,
      repeat: null,
      capture: null,
    };
    store.setQuery(api.tasks.list, { board }, sortTasks([...tasks, added]));
  };

export const showEdit: OptimisticUpdate<FunctionArgs<typeof api.tasks.edit>> = (
  store,
  { task, title = null, body = null },
) =>
  patchTask(store, task, {
    ...(title === null ? {} : { title }),
    ...(body === null ? {} : { body }),
  });

/** Return an update that ticks a card; `completedAt` is drawn once, so that replays agree. */
export const showComplete =
  (completedAt: number): OptimisticUpdate<{ task: TaskId }> =>
  (store, { task }) => {
    patchTask(store, task, { completed_at: completedAt });
    dropFromDays(store, task);
  };

export const showReopen: OptimisticUpdate<{ task: TaskId }> = (store, { task }) =>
  patchTask(store, task, { completed_at: null });

export const showRemove: OptimisticUpdate<{ task: TaskId }> = (store, { task }) => {
  updateBoardOf(store, task, (tasks, removed) => tasks.filter((other) => other !== removed));
  dropFromDays(store, task);
};

export const showDue: OptimisticUpdate<{
  task: TaskId;
  due_date: DateText | null;
  due_time?: TimeText | null;
}> = (store, due) => {
  const { task, due_date, due_time = null } = due;
  patchTask(store, task, { due_date, due_time, due_at: null });
  moveInDays(store, due);
};

/** What to send when a task is ticked: of a repeat, the occurrence that was seen, and no other. */
export const completionOf = ({ _id, rule, due_at }: Task): { task: TaskId; due_at?: number } =>
  rule !== null && due_at !== null ? { task: _id, due_at } : { task: _id };
