/** Where keys and menu entries lead: pure answers from the cards as they are now. */
import type { Column, Place, Task, TaskId } from "../../sync/api";
import { isProvisional } from "../../sync/optimistic";
import { inColumn } from "../../sync/order";

export type Direction = "up" | "down" | "left" | "right";

const DIRECTIONS: Readonly<Record<string, Direction>> = {
  ArrowUp: "up",
  ArrowDown: "down",
  ArrowLeft: "left",
  ArrowRight: "right",
};

export const directionOf = (key: string): Direction | undefined => DIRECTIONS[key];

// A card that the server does not know yet cannot be named as a neighbour.
const known = (tasks: readonly Task[], column: string): Task[] =>
  inColumn(tasks, column).filter((task) => !isProvisional(task));

/** Return the place at the top of a column, over every card but `task`. */
export const topOf = (tasks: readonly Task[], column: string, task: TaskId): Place => {
  const first = known(tasks, column).find((other) => other._id !== task);
  return first === undefined ? { column } : { column, before: first._id };
};

/** Return the place one step away, or null at an edge of the board. */
export const placeTowards = (
  direction: Direction,
  tasks: readonly Task[],
  columns: readonly Column[],
  task: Task,
): Place | null => {
  const own = known(tasks, task.column);
  const row = own.findIndex((other) => other._id === task._id);
  const at = columns.findIndex((column) => column.key === task.column);
  const beside = (column: Column | undefined): Place | null => {
    if (column === undefined) {
      return null;
    }
    const neighbour = known(tasks, column.key)[row];
    return neighbour === undefined
      ? { column: column.key }
      : { column: column.key, before: neighbour._id };
  };
  switch (direction) {
    case "up": {
      const previous = own[row - 1];
      return previous === undefined ? null : { column: task.column, before: previous._id };
    }
    case "down": {
      const next = own[row + 1];
      return next === undefined ? null : { column: task.column, after: next._id };
    }
    case "left":
      return beside(columns[at - 1]);
    case "right":
      return beside(columns[at + 1]);
    default:
      return direction satisfies never;
  }
};

/** Return the card that an arrow walks to; left and right pass over empty columns. */
export const cardTowards = (
  direction: Direction,
  tasks: readonly Task[],
  columns: readonly Column[],
  task: Task,
): Task | undefined => {
  const own = inColumn(tasks, task.column);
  const row = own.findIndex((other) => other._id === task._id);
  const at = columns.findIndex((column) => column.key === task.column);
  const nearest = (candidates: readonly Column[]): Task | undefined => {
    for (const column of candidates) {
      const cards = inColumn(tasks, column.key);
      if (cards.length > 0) {
        return cards[Math.min(row, cards.length - 1)];
      }
    }
    return undefined;
  };
  switch (direction) {
    case "up":
      return own[row - 1];
    case "down":
      return own[row + 1];
    case "left":
      return nearest(columns.slice(0, at).toReversed());
    case "right":
      return nearest(columns.slice(at + 1));
    default:
      return direction satisfies never;
  }
};
