/** The order of cards on a board, and the keys that make it. */
import { generateKeyBetween } from "fractional-indexing";

import type { Place, Task, TaskId } from "./api";

const compareCodeUnits = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Order within a column: by rank, then by id, as the server's index does. */
export const compareTasks = (a: Task, b: Task): number =>
  compareCodeUnits(a.rank, b.rank) || compareCodeUnits(a._id, b._id);

/** Return the tasks by (column, rank, id), in a new array. */
export const sortTasks = (tasks: readonly Task[]): Task[] =>
  tasks.toSorted((a, b) => compareCodeUnits(a.column, b.column) || compareTasks(a, b));

/** Return the tasks of one column, in their order. */
export const inColumn = (tasks: readonly Task[], column: string): Task[] =>
  tasks.filter((task) => task.column === column).toSorted(compareTasks);

/**
 * Return a key between two ranks; null stands for an end of the column.
 *
 * The server has the last word on ranks, so a key that cannot be made (two neighbours of equal
 * rank, a key this client does not understand) is no error: a neighbour's rank will do until
 * the server's answer comes.
 */
export const rankBetween = (lower: string | null, upper: string | null): string => {
  if (lower !== null && upper !== null && lower >= upper) {
    return lower;
  }
  try {
    return generateKeyBetween(lower, upper);
  } catch {
    return lower ?? upper ?? "a0";
  }
};

/**
 * Return the index in `others` at which `place` puts a card.
 *
 * `others`: the cards of the target column in order, without the one that moves. A neighbour
 * that has left the column meanwhile means the end, as it does on the server.
 */
const indexOf = (others: readonly Task[], place: Place): number => {
  const neighbour = place.before ?? place.after;
  const index = others.findIndex((task) => task._id === neighbour);
  if (index === -1) {
    return others.length;
  }
  return (place.before ?? null) === null ? index + 1 : index;
};

/** Return a rank for `task` at `place`, from the neighbours as they are now. */
export const provisionalRank = (tasks: readonly Task[], task: TaskId, place: Place): string => {
  const others = inColumn(tasks, place.column).filter((other) => other._id !== task);
  const index = indexOf(others, place);
  return rankBetween(others[index - 1]?.rank ?? null, others[index]?.rank ?? null);
};

/** Return where `place` puts `task`, counted from one, and among how many cards. */
export const positionAt = (
  tasks: readonly Task[],
  task: TaskId,
  place: Place,
): { position: number; count: number } => {
  const others = inColumn(tasks, place.column).filter((other) => other._id !== task);
  return { position: indexOf(others, place) + 1, count: others.length + 1 };
};

/** Say whether `task` stands at `place` already, so that moving it would change nothing. */
export const standsAt = (tasks: readonly Task[], task: Task, place: Place): boolean => {
  if (task.column !== place.column) {
    return false;
  }
  const neighbour = place.before ?? place.after;
  if (neighbour === task._id) {
    return true;
  }
  const column = inColumn(tasks, place.column);
  const others = column.filter((other) => other._id !== task._id);
  return indexOf(others, place) === column.findIndex((other) => other._id === task._id);
};
