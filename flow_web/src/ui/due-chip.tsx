/** When something is due, in words and a colour; overdue turns by the clock, and is said in words. */
import { useHasPassed } from "./clock";
import { dueLabel } from "./dates";
import styles from "./due-chip.module.css";
import { useHomeDay } from "./home-day";
import { ClockIcon, FlagIcon, RepeatIcon, WarningIcon } from "./icons";

export type Due = {
  due_date: string | null;
  due_time: string | null;
  due_at: number | null;
  zone: string | null;
};

const cityOf = (zone: string): string => (zone.split("/").at(-1) ?? zone).replaceAll("_", " ");

type DueChipProps = {
  due: Due;
  /** Done things are not late. */
  done?: boolean;
  /** Under the heading of a day, only its time says something new. */
  timeOnly?: boolean;
};

export const DueChip = ({ due, done = false, timeOnly = false }: DueChipProps) => {
  const { today, zone } = useHomeDay();
  const passed = useHasPassed(done ? null : due.due_at);
  const { due_date: date, due_time: time } = due;
  if (!date || (timeOnly && !time)) {
    return null;
  }
  const words = timeOnly && time ? time.slice(0, 5) : dueLabel(date, time || null, today);
  const state = done ? "done" : passed ? "overdue" : date === today ? "today" : "later";
  const elsewhere = due.zone && due.zone !== zone ? ` ${cityOf(due.zone)}` : "";
  return (
    <span className={styles.due} data-due={state}>
      {passed ? <WarningIcon /> : <ClockIcon />}
      {passed && <span className="visually-hidden">Overdue: </span>}
      {!passed && <span className="visually-hidden">Due </span>}
      {words}
      {elsewhere}
    </span>
  );
};

export const RepeatMark = () => (
  <span className={styles.mark} title="Repeats">
    <RepeatIcon />
    <span className="visually-hidden">Repeats</span>
  </span>
);

export const PriorityMark = ({ priority }: { priority: number }) => (
  <span className={styles.priority} data-priority={priority} title={`Priority ${priority}`}>
    <FlagIcon />
    <span className="visually-hidden">Priority </span>
    {priority}
  </span>
);
