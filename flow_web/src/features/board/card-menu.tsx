/** The menu of a card: every move that a drag can make, and what else can be done to it. */
import type { Board, Place, Task } from "../../sync/api";
import { Menu } from "../../ui/menu";
import type { MenuGroup, MenuItem } from "../../ui/menu";
import { placeTowards, topOf } from "./places";
import type { Direction } from "./places";

const STEPS: readonly { direction: Direction; label: string; hint: string }[] = [
  { direction: "up", label: "Up", hint: "⇧ ↑" },
  { direction: "down", label: "Down", hint: "⇧ ↓" },
  { direction: "left", label: "Left", hint: "⇧ ←" },
  { direction: "right", label: "Right", hint: "⇧ →" },
];

type CardMenuProps = {
  board: Board;
  tasks: readonly Task[];
  task: Task;
  anchor: DOMRect;
  onClose: () => void;
  onMove: (place: Place) => void;
  onOpen: () => void;
  onDue: () => void;
  onToggle: () => void;
  onRemove: () => void;
};

export const CardMenu = ({ board, tasks, task, anchor, onClose, ...on }: CardMenuProps) => {
  const toColumns = board.columns.map(({ key, title }): MenuItem => {
    const here = key === task.column;
    return {
      label: title,
      disabled: here,
      onSelect: () => on.onMove({ column: key }),
      ...(here && { hint: "here" }),
    };
  });
  const steps = STEPS.map(({ direction, label, hint }): MenuItem => {
    const place = placeTowards(direction, tasks, board.columns, task);
    return {
      label,
      hint,
      disabled: place === null,
      onSelect: () => place !== null && on.onMove(place),
    };
  });
  const groups: readonly MenuGroup[] = [
    { label: "Move to…", items: toColumns },
    {
      label: "Move",
      items: [
        { label: "Top", onSelect: () => on.onMove(topOf(tasks, task.column, task._id)) },
        { label: "Bottom", onSelect: () => on.onMove({ column: task.column }) },
        ...steps,
      ],
    },
    {
      label: "Card",
      items: [
        { label: "Edit", hint: "Enter", onSelect: on.onOpen },
        { label: "Due date…", onSelect: on.onDue },
        { label: task.completed_at === null ? "Complete" : "Reopen", onSelect: on.onToggle },
        { label: "Remove", danger: true, onSelect: on.onRemove },
      ],
    },
  ];
  return <Menu label={`Move ${task.title}`} groups={groups} anchor={anchor} onClose={onClose} />;
};
