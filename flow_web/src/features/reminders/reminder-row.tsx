/** A reminder in its list: when it rings next, how it repeats, and what can be done about it. */
import type { MouseEvent } from "react";

import type { Reminder } from "../../sync/api";
import { dateIn, dueLabel, timeIn } from "../../ui/dates";
import { useHomeDay } from "../../ui/home-day";
import { BellIcon, ClockIcon, RepeatIcon, TrashIcon } from "../../ui/icons";
import styles from "./reminder-row.module.css";

type ReminderRowProps = {
  reminder: Reminder;
  onSnooze: (reminder: Reminder, anchor: DOMRect) => void;
  onCancel: (reminder: Reminder) => void;
};

export const ReminderRow = ({ reminder, onSnooze, onCancel }: ReminderRowProps) => {
  const { title, rule, state, task } = reminder;
  const isRinging = state === "ringing";
  const snooze = (event: MouseEvent<HTMLButtonElement>) =>
    onSnooze(reminder, event.currentTarget.getBoundingClientRect());

  return (
    <li className={styles.row}>
      <span className={styles.bell} data-ringing={isRinging}>
        <BellIcon />
      </span>
      <div className={styles.text}>
        <span className={styles.title}>{title}</span>
        <span className={styles.meta}>
          <When reminder={reminder} />
          {rule !== null && (
            <span className={styles.repeat}>
              <RepeatIcon />
              Repeats
            </span>
          )}
          {task !== null && <span>Of a task</span>}
        </span>
      </div>
      {isRinging && (
        <button
          type="button"
          className="icon-button"
          aria-label={`Snooze ${title}`}
          aria-haspopup="menu"
          title="Snooze"
          onClick={snooze}
        >
          <ClockIcon />
        </button>
      )}
      <button
        type="button"
        className="icon-button"
        aria-label={`Cancel ${title}`}
        title="Cancel"
        onClick={() => onCancel(reminder)}
      >
        <TrashIcon />
      </button>
    </li>
  );
};

const When = ({ reminder }: { reminder: Reminder }) => {
  const { zone, today } = useHomeDay();
  const words = (at: number) => dueLabel(dateIn(zone, at), timeIn(zone, at), today);
  const { snoozed_until: snoozed, next_at: next, state } = reminder;
  if (snoozed !== null) {
    return <span>Snoozed until {words(snoozed)}</span>;
  }
  if (state === "ringing") {
    return <span className={styles.now}>Rings now</span>;
  }
  return next === null ? null : <span>{words(next)}</span>;
};
