/** Asks when a card is due. */
import type { Task } from "../../sync/api";
import { useHomeDay } from "../../ui/home-day";
import { dayChoices, WhenMenu } from "../../ui/when-menu";
import type { When } from "../../ui/when-menu";

type DueMenuProps = {
  task: Task;
  anchor: DOMRect;
  /** `today`: the date at home. */
  onPick: (when: When | null, today: string) => void;
  onClose: () => void;
};

export const DueMenu = ({ task, anchor, onPick, onClose }: DueMenuProps) => {
  const { today, weekStarts } = useHomeDay();
  return (
    <WhenMenu
      label={`When ${task.title} is due`}
      anchor={anchor}
      choices={dayChoices(today, weekStarts, task.due_time)}
      value={task.due_date === null ? null : { date: task.due_date, time: task.due_time }}
      onPick={(when) => onPick(when, today)}
      onClose={onClose}
    />
  );
};
