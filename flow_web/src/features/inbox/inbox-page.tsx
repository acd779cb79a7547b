/** What was put down to be looked at later, newest first; one key or button makes it something. */
import { useQuery } from "convex/react";
import { useCallback, useLayoutEffect, useRef, useState } from "react";

import { api } from "../../sync/api";
import type { Capture, CaptureId } from "../../sync/api";
import { onDate, withPhrase } from "../../sync/lines";
import { useHomeDay } from "../../ui/home-day";
import { InboxIcon } from "../../ui/icons";
import { Empty, Page } from "../../ui/page";
import { usePageKeys } from "../../ui/shortcut";
import { WhenMenu } from "../../ui/when-menu";
import { CaptureField } from "./capture-field";
import { CaptureRow, wayOf } from "./capture-row";
import type { TriageKind } from "./capture-row";
import styles from "./capture-row.module.css";
import { TriagedList } from "./triaged-list";
import type { ItemLinks } from "./triaged-list";
import { isOnItsWay, useInboxActions } from "./use-inbox-actions";
import type { InboxActions } from "./use-inbox-actions";
import { ringChoices } from "./when-choices";

export const InboxPage = ({ links }: { links: ItemLinks }) => {
  const captures = useQuery(api.captures.list, {});
  const recent = useQuery(api.captures.recent, {});
  const actions = useInboxActions();
  return (
    <Page title="Inbox">
      <CaptureField onCapture={actions.capture} />
      {captures === undefined ? (
        <div aria-busy="true" />
      ) : (
        <Captures captures={captures} actions={actions} />
      )}
      {recent !== undefined && recent.length > 0 && (
        <TriagedList captures={recent} links={links} />
      )}
    </Page>
  );
};

/** A capture that is to ring, once it is known when. */
type Asked = { capture: Capture; anchor: DOMRect; reason: string };

type CapturesProps = { captures: readonly Capture[]; actions: InboxActions };

const Captures = ({ captures, actions }: CapturesProps) => {
  const list = useRef<HTMLUListElement>(null);
  const byKeys = useRef(false);
  const [asked, setAsked] = useState<Asked | null>(null);
  const { selected, select, step } = useSelection(captures);

  const onTriage = useCallback(
    (capture: Capture, way: TriageKind, anchor: DOMRect) => {
      if (way === "remove") {
        actions.remove(capture);
      } else if (way === "reminder") {
        const onRefused = (reason: string) => setAsked({ capture, anchor, reason });
        actions.triage(capture, way, { onRefused });
      } else {
        actions.triage(capture, way);
      }
    },
    [actions],
  );
  const onSelect = useCallback((capture: Capture) => select(capture._id), [select]);

  usePageKeys((key) => {
    const move = STEPS[key.length === 1 ? key.toLowerCase() : key];
    const row = selected && rowOf(list.current, selected._id);
    if (move !== undefined) {
      byKeys.current = true;
      // The first step only shows which one is chosen.
      if (row?.contains(document.activeElement) === true) {
        step(move);
      } else {
        row?.querySelector("button")?.focus();
      }
      return captures.length > 0;
    }
    const way = wayOf(key);
    if (way === undefined || selected === undefined || !row || isOnItsWay(selected)) {
      return false;
    }
    byKeys.current = true;
    onTriage(selected, way, row.getBoundingClientRect());
    return true;
  });
  const selectedId = selected?._id;
  // Whoever goes by keys keeps the focus on the chosen row, also when the row before it leaves.
  useLayoutEffect(() => {
    if (byKeys.current && selectedId !== undefined) {
      rowOf(list.current, selectedId)?.querySelector("button")?.focus();
    }
  }, [selectedId]);

  if (captures.length === 0) {
    return (
      <Empty icon={<InboxIcon />} title="The inbox is empty">
        Put down what comes to mind. Later each line becomes a task, a note or a reminder.
      </Empty>
    );
  }
  return (
    <>
      <ul ref={list} className={styles.list} aria-label="Put down, newest first">
        {captures.map((capture) => (
          <CaptureRow
            key={capture.key}
            capture={capture}
            selected={capture === selected}
            onSelect={onSelect}
            onTriage={onTriage}
          />
        ))}
      </ul>
      <KeysHint />
      {asked !== null && (
        <AskWhen asked={asked} actions={actions} onClose={() => setAsked(null)} />
      )}
    </>
  );
};

const rowOf = (list: HTMLElement | null, id: CaptureId): HTMLElement | undefined =>
  [...(list?.querySelectorAll<HTMLElement>("[data-capture-id]") ?? [])].find(
    (row) => row.dataset["captureId"] === id,
  );

const STEPS: Readonly<Record<string, 1 | -1>> = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 };

/** The selected capture: when it leaves, the one that takes its place is next. */
const useSelection = (captures: readonly Capture[]) => {
  const [at, setAt] = useState<{ id: CaptureId | undefined; index: number }>({
    id: undefined,
    index: 0,
  });
  const found = captures.findIndex((capture) => capture._id === at.id);
  const index = found === -1 ? Math.min(at.index, captures.length - 1) : found;
  const select = useCallback(
    (id: CaptureId) => {
      setAt({ id, index: captures.findIndex((capture) => capture._id === id) });
    },
    [captures],
  );
  const step = (by: 1 | -1) => {
    const next = Math.max(0, Math.min(index + by, captures.length - 1));
    setAt({ id: captures[next]?._id, index: next });
  };
  if (found !== -1 && found !== at.index) {
    setAt({ id: at.id, index: found }); // Others came before it: remember where it stands now.
  }
  return { selected: captures[index], select, step };
};

const KeysHint = () => (
  <p className={styles.keys} aria-hidden="true">
    <span>
      <kbd>J</kbd> <kbd>K</kbd> choose
    </span>
    <span>
      <kbd>1</kbd> task
    </span>
    <span>
      <kbd>2</kbd> note
    </span>
    <span>
      <kbd>3</kbd> reminder
    </span>
    <span>
      <kbd>#</kbd> remove
    </span>
  </p>
);

type AskWhenProps = { asked: Asked; actions: InboxActions; onClose: () => void };

const AskWhen = ({ asked, actions, onClose }: AskWhenProps) => {
  const settings = useQuery(api.people.settings, {});
  const { zone } = useHomeDay();
  const [now] = useState(Date.now);
  const { capture, anchor, reason } = asked;
  return (
    <WhenMenu
      label={`When to be reminded of ${capture.text}`}
      anchor={anchor}
      choices={ringChoices(now, zone, settings)}
      value={null}
      timed
      reason={reason}
      onPick={(when) => {
        if (when !== null) {
          const line = withPhrase(capture.text, onDate(when.date, when.time));
          actions.triage(capture, "reminder", { line });
        }
      }}
      onClose={onClose}
    />
  );
};
