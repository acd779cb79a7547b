/** Keeps the identity of what did not change, so that one changed card renders one card. */
import type { Task } from "./api";

const sameList = <T>(a: readonly T[], b: readonly T[]): boolean =>
  a.length === b.length && a.every((item, index) => item === b[index]);

/** Say whether two states of a card look the same to its reader. */
export const sameTask = (a: Task, b: Task): boolean =>
  a._id === b._id &&
  a.column === b.column &&
  a.rank === b.rank &&
  a.title === b.title &&
  a.body === b.body &&
  a.completed_at === b.completed_at &&
  a.due_date === b.due_date &&
  a.due_time === b.due_time &&
  a.due_at === b.due_at &&
  a.zone === b.zone &&
  a.priority === b.priority &&
  a.rule === b.rule &&
  sameList(a.labels, b.labels);

/** Return `next`, with the objects of `previous` wherever a card is as it was. */
export const keepTasks = (previous: readonly Task[], next: readonly Task[]): readonly Task[] => {
  const known = new Map(previous.map((task) => [task._id, task]));
  const kept = next.map((task) => {
    const before = known.get(task._id);
    return before !== undefined && sameTask(before, task) ? before : task;
  });
  return sameList(previous, kept) ? previous : kept;
};

/** Return `next`, or `previous` if both hold the same objects in the same order. */
export const keepList = <T>(previous: readonly T[] | undefined, next: readonly T[]): readonly T[] =>
  previous !== undefined && sameList(previous, next) ? previous : next;
