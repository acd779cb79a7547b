/** Asks when: the usual days, or any date and time. */
import { useEffect, useId, useLayoutEffect, useRef, useState } from "react";
import type { FormEvent, KeyboardEvent } from "react";

import { addDays, dayLabel, longDate, nextWeekday } from "./dates";
import { useHomeDay } from "./home-day";
import { placeBeside } from "./menu";
import styles from "./when-menu.module.css";

/** A wall time at home; without a time, the whole day. */
export type When = { date: string; time: string | null };

const SATURDAY = 6;
const FIRST_DAY = { sunday: 0, monday: 1 } as const;

/** Return the arguments that say when a task is due; a time keeps the zone that it was given in. */
export const dueOf = (when: When | null, zone: string | null) => ({
  due_date: when?.date ?? null,
  due_time: when?.time ?? null,
  ...(zone && when?.time && { zone }),
});

export type WhenChoice = { label: string; hint: string; when: When | null };

type WhenMenuProps = {
  label: string;
  /** Where to open, in CSS px of the window: the rectangle of what opened it. */
  anchor: DOMRect;
  choices: readonly WhenChoice[];
  /** What the fields say at first. */
  value: When | null;
  /** Whether a time must be given. */
  timed?: boolean;
  /** Why it has to be asked, if something was refused. */
  reason?: string | undefined;
  onPick: (when: When | null) => void;
  onClose: () => void;
};

/** Return the days that people put things off to; each keeps `time`. */
export const dayChoices = (
  today: string,
  weekStarts: "monday" | "sunday",
  time: string | null,
): WhenChoice[] => {
  const days = [
    { label: "Today", date: today },
    { label: "Tomorrow", date: addDays(today, 1) },
    { label: "This weekend", date: nextWeekday(addDays(today, -1), SATURDAY) },
    { label: "Next week", date: nextWeekday(today, FIRST_DAY[weekStarts]) },
  ];
  return [
    ...days.map(({ label, date }) => ({ label, hint: shortHint(date), when: { date, time } })),
    { label: "No date", hint: "", when: null },
  ];
};

const shortHint = (date: string): string => longDate(date).slice(0, 3);

export const WhenMenu = ({ label, anchor, choices, value, ...rest }: WhenMenuProps) => {
  const { timed = false, reason, onPick, onClose } = rest;
  const { today } = useHomeDay();
  const ref = useRef<HTMLDivElement>(null);
  const close = useRef(onClose);
  useEffect(() => {
    close.current = onClose;
  });
  const [date, setDate] = useState(value?.date ?? today);
  const [time, setTime] = useState(value?.time?.slice(0, 5) ?? "");
  const reasonId = useId();

  useLayoutEffect(() => {
    const menu = ref.current;
    if (menu === null) {
      return undefined;
    }
    const onToggle = (event: Event) => {
      if ((event as ToggleEvent).newState === "closed") {
        close.current();
      }
    };
    menu.showPopover();
    placeBeside(menu, anchor);
    menu.querySelector<HTMLElement>("button")?.focus();
    menu.addEventListener("toggle", onToggle);
    return () => {
      menu.removeEventListener("toggle", onToggle);
      menu.hidePopover();
    };
  }, [anchor]);

  const pick = (when: When | null) => {
    onClose();
    onPick(when);
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    pick({ date, time: time === "" ? null : time });
  };
  const onKeyDown = (event: KeyboardEvent<HTMLDivElement>) => {
    event.stopPropagation(); // What is typed here is no shortcut of the page.
    if (event.key === "Escape") {
      event.preventDefault();
      onClose();
      return;
    }
    const buttons = [...event.currentTarget.querySelectorAll<HTMLElement>("[data-choice]")];
    const current = buttons.indexOf(document.activeElement as HTMLElement);
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (current !== -1 && step !== 0) {
      event.preventDefault();
      buttons.at((current + step) % buttons.length)?.focus();
    }
  };

  return (
    // Its keys are those of the controls in it: they come up from there.
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-element-interactions
    <div
      ref={ref}
      popover="auto"
      role="dialog"
      tabIndex={-1}
      aria-label={label}
      aria-describedby={reason === undefined ? undefined : reasonId}
      className={styles.menu}
      onKeyDown={onKeyDown}
    >
      {reason !== undefined && (
        <p id={reasonId} className={styles.reason}>
          {reason}
        </p>
      )}
      {choices.map((choice) => (
        <button
          key={choice.label}
          type="button"
          data-choice
          className={styles.item}
          onClick={() => pick(choice.when)}
        >
          <span>{choice.label}</span>
          <span className={styles.hint}>{choice.hint}</span>
        </button>
      ))}
      <form className={styles.form} onSubmit={submit}>
        <label>
          <span className="visually-hidden">Date</span>
          <input
            className="field"
            type="date"
            required
            value={date}
            onChange={(event) => setDate(event.target.value)}
          />
        </label>
        <label>
          <span className="visually-hidden">Time</span>
          <input
            className="field"
            type="time"
            required={timed}
            value={time}
            onChange={(event) => setTime(event.target.value)}
          />
        </label>
        <button type="submit" className="button" data-kind="primary">
          {date === "" ? "Set" : dayLabel(date, today)}
          {time !== "" && ` ${time}`}
        </button>
      </form>
    </div>
  );
};
