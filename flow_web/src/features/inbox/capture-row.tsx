/** One capture, and the four ways out of the inbox. */
import { memo } from "react";
import type { MouseEvent } from "react";

import type { Capture, ItemKind } from "../../sync/api";
import { dateIn, dayLabel, timeIn } from "../../ui/dates";
import { useHomeDay } from "../../ui/home-day";
import { BellIcon, CheckCircleIcon, LinkIcon, NotesIcon, TrashIcon } from "../../ui/icons";
import styles from "./capture-row.module.css";
import { isOnItsWay } from "./use-inbox-actions";

export type TriageKind = ItemKind | "remove";

const WAYS = [
  { kind: "task", label: "Task", hint: "1", icon: <CheckCircleIcon /> },
  { kind: "note", label: "Note", hint: "2", icon: <NotesIcon /> },
  { kind: "reminder", label: "Reminder", hint: "3", icon: <BellIcon /> },
  { kind: "remove", label: "Remove", hint: "#", icon: <TrashIcon /> },
] as const;

/** Return what a key makes of the selected capture, if it is one of those keys. */
export const wayOf = (key: string): TriageKind | undefined =>
  key === "Delete" ? "remove" : WAYS.find(({ hint }) => hint === key)?.kind;

type CaptureRowProps = {
  capture: Capture;
  selected: boolean;
  onSelect: (capture: Capture) => void;
  onTriage: (capture: Capture, way: TriageKind, anchor: DOMRect) => void;
};

export const CaptureRow = memo(function CaptureRow(props: CaptureRowProps) {
  const { capture, selected, onSelect, onTriage } = props;
  const saving = isOnItsWay(capture);
  return (
    // The row takes no key itself: it is chosen as soon as one of its buttons is.
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-element-interactions
    <li
      className={styles.row}
      data-capture-id={capture._id}
      data-selected={selected || undefined}
      aria-busy={saving || undefined}
      onFocus={() => onSelect(capture)}
    >
      <div className={styles.text}>
        <CaptureText capture={capture} />
        <span className={styles.meta}>
          <CapturedAt capture={capture} />
        </span>
      </div>
      <div className={styles.ways} role="group" aria-label={`Make of ${capture.text}`}>
        {WAYS.map(({ kind, label, hint, icon }) => (
          <button
            key={kind}
            type="button"
            className={styles.way}
            data-way={kind}
            data-suggested={capture.parsed_kind === kind || undefined}
            aria-keyshortcuts={hint}
            title={`${label} (${hint})`}
            disabled={saving}
            onClick={(event: MouseEvent<HTMLButtonElement>) =>
              onTriage(capture, kind, event.currentTarget.getBoundingClientRect())
            }
          >
            {icon}
            <span className={styles.wayName}>{label}</span>
          </button>
        ))}
      </div>
    </li>
  );
});

const hostOf = (url: string): string => {
  try {
    return new URL(url).host.replace(/^www\./u, "");
  } catch {
    return url;
  }
};

/** The line; a link shows what its page is called as soon as that is known. */
export const CaptureText = ({ capture }: { capture: Capture }) => {
  const { text, url, page_title: title } = capture;
  if (url === null) {
    return <span className={styles.line}>{text}</span>;
  }
  const around = text.replace(url, "").trim();
  return (
    <span className={styles.line}>
      {around !== "" && `${around} `}
      <a href={url} target="_blank" rel="noreferrer noopener" className={styles.link}>
        <LinkIcon />
        {title ?? url}
      </a>
      {title !== null && <span className={styles.host}> {hostOf(url)}</span>}
    </span>
  );
};

const CapturedAt = ({ capture }: { capture: Capture }) => {
  const { zone, today } = useHomeDay();
  const at = capture.captured_at;
  return (
    <time dateTime={new Date(at).toISOString()}>
      {dayLabel(dateIn(zone, at), today)} {timeIn(zone, at)}
    </time>
  );
};
