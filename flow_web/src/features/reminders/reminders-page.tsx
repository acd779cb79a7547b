/** The reminders: what came while nobody looked, what rings, and what will. */
import { useQuery } from "convex/react";
import { useState } from "react";

import { api } from "../../sync/api";
import type { Reminder, Ringing } from "../../sync/api";
import { dateIn, dueLabel, timeIn } from "../../ui/dates";
import { useHomeDay } from "../../ui/home-day";
import { BellIcon } from "../../ui/icons";
import { Empty, Page, Section } from "../../ui/page";
import { lateness } from "./words";
import { SnoozeMenu } from "./snooze-menu";
import { useRingActions } from "./use-ring-actions";
import { ReminderRow } from "./reminder-row";
import { useCancel } from "./use-cancel";
import styles from "./reminders-page.module.css";

export const RemindersPage = () => {
  const reminders = useQuery(api.reminders.list, {});
  const away = useQuery(api.reminders.away, {}) ?? [];
  const actions = useRingActions();
  const cancel = useCancel();
  const [snoozing, setSnoozing] = useState<[Reminder, DOMRect] | null>(null);
  const ringing = reminders?.filter(({ state }) => state === "ringing") ?? [];
  const waiting = reminders?.filter(({ state }) => state !== "ringing") ?? [];
  const row = (reminder: Reminder) => (
    <ReminderRow
      key={reminder._id}
      reminder={reminder}
      onSnooze={(one, anchor) => setSnoozing([one, anchor])}
      onCancel={cancel}
    />
  );

  return (
    <Page title="Reminders">
      {reminders?.length === 0 && away.length === 0 && (
        <Empty icon={<BellIcon />} title="Nothing will ring">
          Type “remind me tomorrow at 9 to call mom” in the line above. It rings here, in every
          open window, until you answer it in one.
        </Empty>
      )}
      {away.length > 0 && (
        <Section title="While Flow was away" count={away.length}>
          <ul className={styles.list}>
            {away.map((ring) => (
              <AwayRow key={ring.delivery} ring={ring} onDone={() => actions.acknowledge(ring)} />
            ))}
          </ul>
        </Section>
      )}
      {ringing.length > 0 && (
        <Section title="Rings now" count={ringing.length}>
          <ul className={styles.list}>{ringing.map(row)}</ul>
        </Section>
      )}
      {waiting.length > 0 && (
        <Section title="Waiting" count={waiting.length}>
          <ul className={styles.list}>{waiting.map(row)}</ul>
        </Section>
      )}
      {snoozing !== null && (
        <SnoozeMenu
          title={snoozing[0].title}
          anchor={snoozing[1]}
          onChoose={(preset) =>
            actions.snooze({ reminder: snoozing[0]._id, title: snoozing[0].title }, preset)
          }
          onClose={() => setSnoozing(null)}
        />
      )}
    </Page>
  );
};

const AwayRow = ({ ring, onDone }: { ring: Ringing; onDone: () => void }) => {
  const { zone, today } = useHomeDay();
  const due = dueLabel(dateIn(zone, ring.due_at), timeIn(zone, ring.due_at), today);
  return (
    <li className={styles.away}>
      <div className={styles.text}>
        <span className={styles.title}>{ring.title}</span>
        <span className={styles.meta}>
          {due} <span className={styles.late}>{lateness(ring)}</span>
        </span>
      </div>
      <button type="button" className="button" aria-label={`Seen: ${ring.title}`} onClick={onDone}>
        Seen
      </button>
    </li>
  );
};
