/** Lets cards be dropped on a column beside its cards: at its top, or at its end. */
import { autoScrollForElements } from "@atlaskit/pragmatic-drag-and-drop-auto-scroll/element";
import { combine } from "@atlaskit/pragmatic-drag-and-drop/utils/combine";
import { dropTargetForElements } from "@atlaskit/pragmatic-drag-and-drop/adapter/element-adapter";
import { useEffect, useState } from "react";
import type { RefObject } from "react";

import type { TaskId } from "../../sync/api";
import { isCardDrag, placeOf, targetData } from "./drag";

export type ColumnEnd = "top" | "end" | null;

/** `first`: the column's first card, which a drop on the heading goes before. */
export const useColumnDrop = (
  section: RefObject<HTMLElement | null>,
  list: RefObject<HTMLElement | null>,
  column: string,
  first: TaskId | null,
): ColumnEnd => {
  const [end, setEnd] = useState<ColumnEnd>(null);

  useEffect(() => {
    const element = section.current;
    const scroller = list.current;
    if (element === null || scroller === null) {
      return undefined;
    }
    const forget = () => setEnd(null);
    return combine(
      dropTargetForElements({
        element,
        canDrop: isCardDrag,
        getData: ({ input }) => {
          const above = input.clientY < scroller.getBoundingClientRect().top;
          return targetData({ kind: "column", column, first: above ? first : null });
        },
        onDrag: ({ self, location }) => {
          const innermost = location.current.dropTargets[0]?.element === element;
          const place = placeOf(self.data);
          setEnd(innermost ? (place?.before === undefined ? "end" : "top") : null);
        },
        onDragLeave: forget,
        onDrop: forget,
      }),
      autoScrollForElements({ element: scroller, canScroll: isCardDrag }),
    );
  }, [section, list, column, first]);

  return end;
};
