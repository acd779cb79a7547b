/** On a phone: the columns by name, to look at one, or to drop a card on without a long way. */
import { dropTargetForElements } from "@atlaskit/pragmatic-drag-and-drop/adapter/element-adapter";
import { useEffect, useRef, useState } from "react";
import type { RefObject } from "react";

import type { Column } from "../../sync/api";
import styles from "./column-tabs.module.css";
import { isCardDrag, targetData } from "./drag";

const columnsIn = (board: HTMLElement): HTMLElement[] => [
  ...board.querySelectorAll<HTMLElement>("[data-column-key]"),
];

/** Return the key of the column that fills most of the board's window. */
const useColumnInView = (
  scroller: RefObject<HTMLElement | null>,
  columns: readonly Column[],
): string | undefined => {
  const [key, setKey] = useState(columns[0]?.key);

  useEffect(() => {
    const root = scroller.current;
    if (root === null) {
      return undefined;
    }
    const observer = new IntersectionObserver(
      (entries) => {
        const seen = entries.find((entry) => entry.isIntersecting);
        if (seen !== undefined) {
          setKey((seen.target as HTMLElement).dataset["columnKey"]);
        }
      },
      { root, threshold: 0.6 },
    );
    const keys = new Set(columns.map((column) => column.key));
    for (const column of columnsIn(root)) {
      if (keys.has(column.dataset["columnKey"] ?? "")) {
        observer.observe(column);
      }
    }
    return () => observer.disconnect();
  }, [scroller, columns]);

  return key;
};

type ColumnTabsProps = {
  columns: readonly Column[];
  counts: ReadonlyMap<string, number>;
  /** The element that scrolls from column to column. */
  scroller: RefObject<HTMLElement | null>;
};

export const ColumnTabs = ({ columns, counts, scroller }: ColumnTabsProps) => {
  const inView = useColumnInView(scroller, columns);
  const show = (key: string) =>
    scroller.current &&
    columnsIn(scroller.current)
      .find((column) => column.dataset["columnKey"] === key)
      ?.scrollIntoView({ behavior: "smooth", inline: "start", block: "nearest" });

  return (
    <nav className={styles.tabs} aria-label="Columns">
      {columns.map((column) => (
        <ColumnTab
          key={column.key}
          column={column}
          count={counts.get(column.key) ?? 0}
          current={column.key === inView}
          onShow={() => show(column.key)}
        />
      ))}
    </nav>
  );
};

type ColumnTabProps = { column: Column; count: number; current: boolean; onShow: () => void };

const ColumnTab = ({ column, count, current, onShow }: ColumnTabProps) => {
  const ref = useRef<HTMLButtonElement>(null);
  const [over, setOver] = useState(false);
  const { key } = column;

  useEffect(() => {
    const element = ref.current;
    if (element === null) {
      return undefined;
    }
    return dropTargetForElements({
      element,
      canDrop: isCardDrag,
      getData: () => targetData({ kind: "column", column: key, first: null }),
      onDragEnter: () => setOver(true),
      onDragLeave: () => setOver(false),
      onDrop: () => setOver(false),
    });
  }, [key]);

  return (
    <button
      ref={ref}
      type="button"
      className={styles.tab}
      aria-current={current || undefined}
      data-over={over || undefined}
      onClick={onShow}
    >
      <span className={styles.name}>{column.title}</span>
      <span className={styles.count}>{count}</span>
    </button>
  );
};
