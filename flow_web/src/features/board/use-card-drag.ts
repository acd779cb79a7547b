/** Makes a card draggable, and a target that other cards are dropped before or after. */
import {
  draggable,
  dropTargetForElements,
} from "@atlaskit/pragmatic-drag-and-drop/adapter/element-adapter";
import { preserveOffsetOnSource } from "@atlaskit/pragmatic-drag-and-drop/utils/preserve-offset-on-source";
import { setCustomNativeDragPreview } from "@atlaskit/pragmatic-drag-and-drop/utils/set-custom-native-drag-preview";
import { attachClosestEdge } from "@atlaskit/pragmatic-drag-and-drop-hitbox/closest-edge/attach-closest-edge";
import { extractClosestEdge } from "@atlaskit/pragmatic-drag-and-drop-hitbox/closest-edge/extract-closest-edge";
import { combine } from "@atlaskit/pragmatic-drag-and-drop/utils/combine";
import { useEffect, useState } from "react";
import type { RefObject } from "react";

import type { Task } from "../../sync/api";
import { isProvisional } from "../../sync/optimistic";
import { dragData, draggedTask, isCardDrag, targetData } from "./drag";

export type CardDrag = { dragging: boolean; edge: "top" | "bottom" | null };

const lift = (card: HTMLElement, container: HTMLElement): void => {
  const copy = card.cloneNode(true) as HTMLElement;
  copy.removeAttribute("data-task-id");
  copy.dataset["lifted"] = "true";
  copy.style.width = `${card.getBoundingClientRect().width}px`;
  copy.style.listStyle = "none";
  container.append(copy);
};

export const useCardDrag = (ref: RefObject<HTMLLIElement | null>, task: Task): CardDrag => {
  const [dragging, setDragging] = useState(false);
  const [edge, setEdge] = useState<CardDrag["edge"]>(null);
  const { _id: id, column } = task;
  const fixed = isProvisional(task);

  useEffect(() => {
    const element = ref.current;
    if (element === null || fixed) {
      return undefined;
    }
    const forget = () => setEdge(null);
    return combine(
      draggable({
        element,
        getInitialData: () => dragData(id),
        onGenerateDragPreview: ({ nativeSetDragImage, location }) =>
          setCustomNativeDragPreview({
            nativeSetDragImage,
            getOffset: preserveOffsetOnSource({ element, input: location.current.input }),
            render: ({ container }) => lift(element, container),
          }),
        onDragStart: () => setDragging(true),
        onDrop: () => setDragging(false),
      }),
      dropTargetForElements({
        element,
        canDrop: isCardDrag,
        getData: ({ input }) =>
          attachClosestEdge(targetData({ kind: "card", task: id, column }), {
            element,
            input,
            allowedEdges: ["top", "bottom"],
          }),
        onDrag: ({ self, source }) => {
          const nearest = extractClosestEdge(self.data);
          const other = draggedTask(source.data) !== id;
          setEdge(other && (nearest === "top" || nearest === "bottom") ? nearest : null);
        },
        onDragLeave: forget,
        onDrop: forget,
      }),
    );
  }, [ref, id, column, fixed]);

  return { dragging, edge };
};
