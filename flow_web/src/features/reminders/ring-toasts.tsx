/** What rings now, on top of every page and in every window, until somebody answers it in one. */
import { useQuery } from "convex/react";
import { useEffect, useRef, useState } from "react";
import type { MouseEvent } from "react";

import { api } from "../../sync/api";
import type { BoardId, DeliveryId, Ringing, TaskId } from "../../sync/api";
import { dateIn, dueLabel, timeIn } from "../../ui/dates";
import { useHomeDay } from "../../ui/home-day";
import { BellIcon, CheckIcon, DownIcon } from "../../ui/icons";
import { useNotices } from "../../ui/notices";
import styles from "./ring-toasts.module.css";
import { SnoozeMenu } from "./snooze-menu";
import { useRingActions } from "./use-ring-actions";
import type { RingActions } from "./use-ring-actions";
import { lateness } from "./words";

const SHOWN_MAX = 3;
const MARK = "🔔 ";

type LinkToTask = (board: BoardId, task: TaskId) => string;

type RingToastsProps = { remindersLink: string; linkTo: LinkToTask };

export const RingToasts = ({ remindersLink, linkTo }: RingToastsProps) => {
  const ringing = useQuery(api.reminders.ringing, {});
  const actions = useRingActions();
  const stack = useRef<HTMLElement>(null);
  const audible = (ringing ?? []).filter(({ silent }) => !silent).toReversed();
  useSaidAloud(audible);
  useTitleMark(audible.length > 0);
  useFocusKey(stack);

  if (audible.length === 0) {
    return null;
  }
  const more = audible.length - SHOWN_MAX;
  return (
    <section ref={stack} className={styles.stack} aria-label="Reminders that ring">
      {audible.slice(0, SHOWN_MAX).map((ring) => (
        <RingToast key={ring.delivery} ring={ring} actions={actions} linkTo={linkTo} />
      ))}
      {more > 0 && (
        <a href={remindersLink} className={styles.more}>
          {more === 1 ? "One more rings" : `${more} more ring`}
        </a>
      )}
    </section>
  );
};

type RingToastProps = {
  ring: Ringing;
  actions: RingActions;
  linkTo: LinkToTask;
};

const RingToast = ({ ring, actions, linkTo }: RingToastProps) => {
  const { zone, today } = useHomeDay();
  const [snoozing, setSnoozing] = useState<DOMRect | null>(null);
  const due = dueLabel(dateIn(zone, ring.due_at), timeIn(zone, ring.due_at), today);
  const late = lateness(ring);
  const snooze = (event: MouseEvent<HTMLButtonElement>) =>
    setSnoozing(event.currentTarget.getBoundingClientRect());

  return (
    <div className={styles.toast} role="group" aria-label={`Reminder: ${ring.title}`} data-ring>
      <span className={styles.bell}>
        <BellIcon />
      </span>
      <div className={styles.text}>
        <p className={styles.title}>{ring.title}</p>
        <p className={styles.when}>
          {due}
          {late !== "" && <span className={styles.late}>{late}</span>}
          {ring.task !== null && <TaskLink task={ring.task} linkTo={linkTo} />}
        </p>
      </div>
      <div className={styles.actions}>
        <button
          type="button"
          className={styles.done}
          aria-label={`Done: ${ring.title}`}
          onClick={() => actions.acknowledge(ring)}
        >
          <CheckIcon />
          Done
        </button>
        <button
          type="button"
          className={styles.snooze}
          aria-label={`Snooze ${ring.title}`}
          aria-haspopup="menu"
          aria-expanded={snoozing !== null}
          onClick={snooze}
        >
          Snooze
          <DownIcon />
        </button>
      </div>
      {snoozing !== null && (
        <SnoozeMenu
          title={ring.title}
          anchor={snoozing}
          onChoose={(preset) => actions.snooze(ring, preset)}
          onClose={() => setSnoozing(null)}
        />
      )}
    </div>
  );
};

const TaskLink = ({ task, linkTo }: { task: TaskId; linkTo: LinkToTask }) => {
  const found = useQuery(api.tasks.get, { task });
  return found ? <a href={linkTo(found.board, task)}>Show the task</a> : null;
};

/** A toast takes no focus, so a new one is said; one that rang before the page opened is, too. */
const useSaidAloud = (rings: readonly Ringing[]): void => {
  const { announce } = useNotices();
  const said = useRef(new Map<DeliveryId, number>());
  useEffect(() => {
    const fresh = rings.filter(({ delivery, rang_at: at }) => said.current.get(delivery) !== at);
    said.current = new Map(rings.map(({ delivery, rang_at: at }) => [delivery, at]));
    const [first] = fresh;
    if (first !== undefined) {
      const rest = fresh.length === 1 ? "" : ` And ${fresh.length - 1} more.`;
      announce(`Reminder: ${first.title}.${rest} F6 leads there.`);
    }
  }, [announce, rings]);
};

/** The tab says it, too. Pages write their titles themselves, so the mark is put back. */
const useTitleMark = (isRinging: boolean): void => {
  useEffect(() => {
    if (!isRinging) {
      return undefined;
    }
    const mark = () => {
      if (!document.title.startsWith(MARK)) {
        document.title = MARK + document.title;
      }
    };
    mark();
    const watch = new MutationObserver(mark);
    watch.observe(document.head, { childList: true, subtree: true, characterData: true });
    return () => {
      watch.disconnect();
      document.title = document.title.replace(MARK, "");
    };
  }, [isRinging]);
};

/** F6 leads to the first toast, and back to where the focus was. */
const useFocusKey = (stack: { readonly current: HTMLElement | null }): void => {
  useEffect(() => {
    let before: HTMLElement | null = null;
    const onKeyDown = (event: KeyboardEvent) => {
      const toasts = stack.current;
      if (event.key !== "F6" || toasts === null) {
        return;
      }
      event.preventDefault();
      const focused = document.activeElement as HTMLElement | null;
      if (toasts.contains(focused)) {
        before?.focus();
      } else {
        before = focused;
        toasts.querySelector("button")?.focus();
      }
    };
    window.addEventListener("keydown", onKeyDown);
    return () => window.removeEventListener("keydown", onKeyDown);
  }, [stack]);
};
