/** Today, overdue and upcoming, as the screen shows them before the server has answered. */
import type { OptimisticLocalStore } from "convex/browser";

import { api } from "./api";
import type { DateText, Day, Task, TaskId, TimeText } from "./api";

const DAY_MS = 86_400_000;
const DAYS_AHEAD = 7; // What the server takes if it is not told.
const LAST_TIME = "24:00"; // All-day tasks stand after the timed ones of their day.

const byTime = (a: Task, b: Task): number => {
  const [first, second] = [a.due_time ?? LAST_TIME, b.due_time ?? LAST_TIME];
  return first < second ? -1 : first > second ? 1 : 0;
};

const keptOr = <T>(before: readonly T[], after: T[]): T[] =>
  before.length === after.length && before.every((item, index) => item === after[index])
    ? (before as T[])
    : after;

/** Let each list of days be what `change` makes of it. */
const updateDays = (store: OptimisticLocalStore, change: (tasks: Task[]) => Task[]): void => {
  const overdue = store.getQuery(api.tasks.overdue, {});
  if (overdue !== undefined) {
    store.setQuery(api.tasks.overdue, {}, keptOr(overdue, change(overdue)));
  }
  const today = store.getQuery(api.tasks.today, {});
  if (today !== undefined) {
    store.setQuery(api.tasks.today, {}, { ...today, tasks: keptOr(today.tasks, change(today.tasks)) });
  }
  for (const { args, value } of store.getAllQueries(api.tasks.upcoming)) {
    if (value !== undefined) {
      const days = value.map(({ date, tasks }) => ({ date, tasks: keptOr(tasks, change(tasks)) }));
      store.setQuery(
        api.tasks.upcoming,
        args,
        days.filter((day) => day.tasks.length > 0),
      );
    }
  }
};

const findInDays = (store: OptimisticLocalStore, id: TaskId): Task | undefined => {
  const upcoming = store.getAllQueries(api.tasks.upcoming).flatMap(({ value }) => value ?? []);
  const lists = [
    store.getQuery(api.tasks.overdue, {}) ?? [],
    store.getQuery(api.tasks.today, {})?.tasks ?? [],
    ...upcoming.map((day) => day.tasks),
  ];
  return lists.flat().find((task) => task._id === id);
};

export const dropFromDays = (store: OptimisticLocalStore, id: TaskId): void =>
  updateDays(store, (tasks) => tasks.filter((task) => task._id !== id));

export const patchInDays = (
  store: OptimisticLocalStore,
  id: TaskId,
  patch: Partial<Task>,
): void =>
  updateDays(store, (tasks) =>
    tasks.map((task) => (task._id === id ? { ...task, ...patch } : task)),
  );

type Due = { task: TaskId; due_date: DateText | null; due_time?: TimeText | null };

const withTask = (days: readonly Day[], moved: Task, date: DateText): Day[] => {
  const there = days.find((day) => day.date === date) ?? { date, tasks: [] };
  const grown = { date, tasks: [...there.tasks, moved].toSorted(byTime) };
  return [...days.filter((day) => day !== there), grown].toSorted((a, b) =>
    a.date < b.date ? -1 : 1,
  );
};

/** Show a task under its new day. Its instant is the server's to say, so it is not overdue yet. */
export const moveInDays = (store: OptimisticLocalStore, due: Due): void => {
  const { task: id, due_date: date, due_time: time = null } = due;
  const task = findInDays(store, id);
  const today = store.getQuery(api.tasks.today, {});
  dropFromDays(store, id);
  if (task === undefined || date === null || today === undefined) {
    return;
  }
  const moved: Task = { ...task, due_date: date, due_time: time, due_at: null };
  if (date === today.date) {
    store.setQuery(api.tasks.today, {}, withTask([today], moved, date)[0] ?? today);
    return;
  }
  for (const { args, value } of store.getAllQueries(api.tasks.upcoming)) {
    const last = Date.parse(today.date) + (args.days ?? DAYS_AHEAD) * DAY_MS;
    if (value !== undefined && date > today.date && Date.parse(date) <= last) {
      store.setQuery(api.tasks.upcoming, args, withTask(value, moved, date));
    }
  }
};
