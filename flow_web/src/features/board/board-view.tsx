/** A board: its columns and cards, live, moved by mouse, touch, keyboard or menu. */
import { autoScrollForElements } from "@atlaskit/pragmatic-drag-and-drop-auto-scroll/element";
import { monitorForElements } from "@atlaskit/pragmatic-drag-and-drop/adapter/element-adapter";
import { combine } from "@atlaskit/pragmatic-drag-and-drop/utils/combine";
import { useQuery } from "convex/react";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import type { CSSProperties, KeyboardEvent, RefObject } from "react";

import { api } from "../../sync/api";
import type { Board, BoardId, Task, TaskId } from "../../sync/api";
import { isProvisional } from "../../sync/optimistic";
import { BoardSurface } from "./board-surface";
import styles from "./board-view.module.css";
import { KEYS_HINT_ID } from "./card";
import { CardMenu } from "./card-menu";
import { ChangedCards } from "./changed-cards";
import { ColumnSkeleton, ColumnView } from "./column";
import { ColumnTabs } from "./column-tabs";
import { draggedTask, isCardDrag, placeOf } from "./drag";
import { BoardHandlersContext } from "./handlers";
import type { BoardHandlers } from "./handlers";
import { cardTowards, directionOf, placeTowards } from "./places";
import { DueMenu } from "./due-menu";
import { EditDialog, RemoveDialog } from "./task-dialogs";
import { useBoardTasks } from "./use-board-tasks";
import type { BoardTasks } from "./use-board-tasks";
import { useForeignChanges } from "./use-foreign-changes";
import { useTaskActions } from "./use-task-actions";
import type { TaskActions } from "./use-task-actions";

/** What lies over the board; a card in a dialog is kept as it was, since it may be removed. */
type Overlay =
  | { kind: "none" }
  | { kind: "menu"; task: TaskId; anchor: DOMRect }
  | { kind: "due"; task: TaskId; anchor: DOMRect }
  | { kind: "edit"; task: Task }
  | { kind: "remove"; task: Task };

const CLOSED: Overlay = { kind: "none" };

const countOf = ({ columns }: Board): CSSProperties =>
  ({ "--columns": columns.length }) as CSSProperties;

const partOf = (index: number, columns: number): number =>
  columns < 2 ? 0 : index / (columns - 1);

type BoardViewProps = {
  board: Board;
  /** The task that somebody came for: its card is shown, and gets the focus. */
  sought: TaskId | undefined;
  onSeen: (board: BoardId) => void;
};

export const BoardView = ({ board, ...rest }: BoardViewProps) => {
  const received = useQuery(api.tasks.list, { board: board._id });
  const shown = useBoardTasks(board.columns, received);
  const [changed] = useState(() => new ChangedCards());
  const actions = useTaskActions(board, changed);
  useForeignChanges(shown?.tasks, changed);

  if (shown === undefined) {
    return (
      <div className={styles.scroller}>
        <div className={styles.columns} style={countOf(board)} aria-busy="true">
          {board.columns.map((column, index) => (
            <ColumnSkeleton
              key={column.key}
              column={column}
              part={partOf(index, board.columns.length)}
            />
          ))}
        </div>
      </div>
    );
  }
  return (
    <LiveBoard {...rest} board={board} shown={shown} actions={actions} changed={changed} />
  );
};

type LiveBoardProps = BoardViewProps & {
  shown: BoardTasks;
  actions: TaskActions;
  changed: ChangedCards;
};

const useDrops = (
  scroller: RefObject<HTMLElement | null>,
  surface: RefObject<BoardSurface | null>,
  actions: TaskActions,
): void =>
  useEffect(() => {
    const element = scroller.current;
    if (element === null) {
      return undefined;
    }
    return combine(
      autoScrollForElements({ element, canScroll: isCardDrag }),
      monitorForElements({
        canMonitor: isCardDrag,
        onDrop: ({ source, location }) => {
          const target = location.current.dropTargets[0];
          const task = draggedTask(source.data);
          const place = target && placeOf(target.data);
          if (task !== undefined && place !== undefined) {
            surface.current?.dropped(task);
            actions.move(task, place);
          }
        },
      }),
    );
  }, [scroller, surface, actions]);

const LiveBoard = ({ board, shown, actions, changed, sought, onSeen }: LiveBoardProps) => {
  const { tasks, byColumn } = shown;
  const { columns } = board;
  const scroller = useRef<HTMLDivElement>(null);
  const surface = useRef<BoardSurface>(null);
  const returnTo = useRef<TaskId>(undefined);
  const [overlay, setOverlay] = useState<Overlay>(CLOSED);
  const [visited, setVisited] = useState<TaskId>();
  useDrops(scroller, surface, actions);

  const first = columns.map(({ key }) => byColumn.get(key)?.[0]).find(Boolean);
  const active = tasks.find((task) => task._id === visited) ?? first;

  // The menu and the dialogs are gone from the page by now, and the card may have moved.
  useLayoutEffect(() => {
    if (overlay.kind === "none" && returnTo.current !== undefined) {
      surface.current?.focusNear(returnTo.current);
      returnTo.current = undefined;
    }
  });

  useEffect(() => {
    if (sought !== undefined) {
      if (surface.current?.showCard(sought) === true) {
        changed.point(sought);
      }
      onSeen(board._id);
    }
  }, [board._id, changed, onSeen, sought]);

  const handlers = useMemo(
    (): BoardHandlers => ({
      changed,
      onOpen: (task) => !isProvisional(task) && setOverlay({ kind: "edit", task }),
      onToggle: actions.toggle,
      onMenu: (task, anchor) => setOverlay({ kind: "menu", task, anchor }),
      onFocus: setVisited,
      onAdd: actions.add,
    }),
    [actions, changed],
  );

  const close = (task: TaskId) => () => {
    returnTo.current = task;
    setOverlay(CLOSED);
  };

  const onKeyDown = (event: KeyboardEvent<HTMLDivElement>) => {
    const card = (event.target as Element).closest<HTMLElement>("[data-task-id]");
    const task = card && tasks.find((candidate) => candidate._id === card.dataset["taskId"]);
    if (!card || !task || event.ctrlKey || event.metaKey || event.altKey) {
      return;
    }
    const direction = directionOf(event.key);
    if (direction !== undefined) {
      event.preventDefault();
      if (!event.shiftKey) {
        const next = cardTowards(direction, tasks, columns, task);
        if (next !== undefined) {
          surface.current?.focusCard(next._id);
        }
      } else if (!isProvisional(task)) {
        const place = placeTowards(direction, tasks, columns, task);
        if (place !== null) {
          actions.move(task._id, place);
        }
      }
    } else if (event.key.toLowerCase() === "m" && !isProvisional(task)) {
      event.preventDefault();
      handlers.onMenu(task._id, card.getBoundingClientRect());
    }
  };

  const counts = new Map(columns.map(({ key }) => [key, byColumn.get(key)?.length ?? 0]));
  return (
    <BoardHandlersContext value={handlers}>
      <p id={KEYS_HINT_ID} hidden>
        Arrows walk from card to card, Shift and arrows move the card, M opens its menu.
      </p>
      <ColumnTabs columns={columns} counts={counts} scroller={scroller} />
      <div ref={scroller} className={styles.scroller}>
        <BoardSurface
          ref={surface}
          tasks={tasks}
          className={styles.columns}
          style={countOf(board)}
          role="group"
          aria-label={`Cards of ${board.title}`}
          onKeyDown={onKeyDown}
        >
          {columns.map((column, index) => {
            const cards = byColumn.get(column.key) ?? [];
            return (
              <ColumnView
                key={column.key}
                column={column}
                part={partOf(index, columns.length)}
                tasks={cards}
                active={active?.column === column.key ? active._id : null}
              />
            );
          })}
        </BoardSurface>
      </div>
      <BoardOverlay
        overlay={overlay}
        board={board}
        tasks={tasks}
        actions={actions}
        onShow={setOverlay}
        close={close}
      />
    </BoardHandlersContext>
  );
};

type BoardOverlayProps = {
  overlay: Overlay;
  board: Board;
  tasks: readonly Task[];
  actions: TaskActions;
  onShow: (overlay: Overlay) => void;
  close: (task: TaskId) => () => void;
};

const BoardOverlay = ({ overlay, board, tasks, actions, onShow, close }: BoardOverlayProps) => {
  switch (overlay.kind) {
    case "none":
      return null;
    case "menu": {
      const task = tasks.find((candidate) => candidate._id === overlay.task);
      return task === undefined ? null : (
        <CardMenu
          board={board}
          tasks={tasks}
          task={task}
          anchor={overlay.anchor}
          onClose={close(task._id)}
          onMove={(place) => actions.move(task._id, place)}
          onOpen={() => onShow({ kind: "edit", task })}
          onDue={() => onShow({ kind: "due", task: task._id, anchor: overlay.anchor })}
          onToggle={() => actions.toggle(task)}
          onRemove={() => onShow({ kind: "remove", task })}
        />
      );
    }
    case "due": {
      const task = tasks.find((candidate) => candidate._id === overlay.task);
      return task === undefined ? null : (
        <DueMenu
          task={task}
          anchor={overlay.anchor}
          onPick={(when, today) => actions.setDue(task, when, today)}
          onClose={close(task._id)}
        />
      );
    }
    case "edit":
      return (
        <EditDialog
          task={overlay.task}
          gone={!tasks.some((task) => task._id === overlay.task._id)}
          onSave={(patch) => actions.edit(overlay.task, patch)}
          onClose={close(overlay.task._id)}
        />
      );
    case "remove":
      return (
        <RemoveDialog
          task={overlay.task}
          onRemove={() => {
            const { task } = overlay;
            const heir =
              cardTowards("down", tasks, board.columns, task) ??
              cardTowards("up", tasks, board.columns, task);
            actions.remove(task);
            close(heir?._id ?? task._id)();
          }}
          onClose={close(overlay.task._id)}
        />
      );
    default:
      return overlay satisfies never;
  }
};
