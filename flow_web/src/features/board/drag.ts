/** What a drag carries, and the place that a drop means. */
import { extractClosestEdge } from "@atlaskit/pragmatic-drag-and-drop-hitbox/closest-edge/extract-closest-edge";

import type { Place, TaskId } from "../../sync/api";

type Data = Record<string | symbol, unknown>;

const DRAGGED = Symbol("dragged card");
const TARGET = Symbol("drop target");

/** A card as a target stands for the places before and after it, a column for its two ends. */
export type DropTarget =
  | { kind: "card"; task: TaskId; column: string }
  | { kind: "column"; column: string; first: TaskId | null };

export const dragData = (task: TaskId): Data => ({ [DRAGGED]: task });
export const draggedTask = (data: Data): TaskId | undefined => data[DRAGGED] as TaskId | undefined;
export const isCardDrag = ({ source }: { source: { data: Data } }): boolean =>
  draggedTask(source.data) !== undefined;

export const targetData = (target: DropTarget): Data => ({ [TARGET]: target });

/** Return the place that a drop on a target with this data means. */
export const placeOf = (data: Data): Place | undefined => {
  const target = data[TARGET] as DropTarget | undefined;
  switch (target?.kind) {
    case undefined:
      return undefined;
    case "card":
      return extractClosestEdge(data) === "top"
        ? { column: target.column, before: target.task }
        : { column: target.column, after: target.task };
    case "column":
      return target.first === null
        ? { column: target.column }
        : { column: target.column, before: target.first };
    default:
      return target satisfies never;
  }
};
