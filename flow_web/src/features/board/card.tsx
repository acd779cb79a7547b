/** One card. Its title is the one focusable part; keys on it are the board's to answer. */
import { memo, useCallback, useRef, useSyncExternalStore } from "react";
import type { CSSProperties, KeyboardEvent, MouseEvent } from "react";

import type { Task } from "../../sync/api";
import { isProvisional } from "../../sync/optimistic";
import { DueChip, PriorityMark, RepeatMark } from "../../ui/due-chip";
import { hueOf } from "../../ui/hue";
import { CheckIcon, MoreIcon, NoteIcon } from "../../ui/icons";
import styles from "./card.module.css";
import { useBoardHandlers } from "./handlers";
import { useCardDrag } from "./use-card-drag";

export const KEYS_HINT_ID = "board-keys";

const Labels = ({ labels }: { labels: readonly string[] }) => (
  <>
    {labels.map((label) => (
      <span key={label} className={styles.label} style={{ "--hue": hueOf(label) } as CSSProperties}>
        {label}
      </span>
    ))}
  </>
);

const hasMeta = ({ body, labels, due_date, priority, rule }: Task): boolean =>
  body !== "" || labels.length > 0 || Boolean(due_date ?? priority ?? rule);

type CardProps = {
  task: Task;
  /** Whether the board's one tab stop is here. */
  active: boolean;
};

export const Card = memo(function Card({ task, active }: CardProps) {
  const { changed, onOpen, onToggle, onMenu, onFocus } = useBoardHandlers();
  const ref = useRef<HTMLLIElement>(null);
  const { dragging, edge } = useCardDrag(ref, task);
  const marked = useSyncExternalStore(
    changed.subscribe,
    useCallback(() => changed.isMarked(task._id), [changed, task._id]),
  );
  const done = task.completed_at !== null;
  const saving = isProvisional(task);

  const onTitleKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      onOpen(task);
    }
  };
  const openMenu = (event: MouseEvent<HTMLButtonElement>) =>
    onMenu(task._id, event.currentTarget.getBoundingClientRect());

  return (
    <li
      ref={ref}
      className={styles.place}
      data-task-id={task._id}
      data-edge={edge ?? undefined}
      data-dragging={dragging || undefined}
      aria-busy={saving || undefined}
    >
      <div
        className={styles.card}
        data-done={done || undefined}
        data-changed={marked || undefined}
      >
        <button
          type="button"
          role="checkbox"
          aria-checked={done}
          aria-label={`Done: ${task.title}`}
          className={styles.check}
          tabIndex={-1}
          disabled={saving}
          onClick={() => onToggle(task)}
        >
          <span className={styles.circle}>
            <CheckIcon />
          </span>
        </button>
        {/* No button element: Firefox starts no drag from one. */}
        <div
          role="button"
          tabIndex={active ? 0 : -1}
          className={styles.title}
          data-card-focus
          aria-disabled={saving || undefined}
          aria-describedby={KEYS_HINT_ID}
          aria-keyshortcuts="M Shift+ArrowUp Shift+ArrowDown Shift+ArrowLeft Shift+ArrowRight"
          onFocus={() => onFocus(task._id)}
          onClick={() => onOpen(task)}
          onKeyDown={onTitleKeyDown}
        >
          {task.title}
        </div>
        <button
          type="button"
          className={`icon-button ${styles.more}`}
          aria-label={`Move to…, and more: ${task.title}`}
          aria-haspopup="menu"
          title="Move to…, and more (M)"
          tabIndex={-1}
          disabled={saving}
          onClick={openMenu}
        >
          <MoreIcon />
        </button>
        {hasMeta(task) && (
          <div className={styles.meta}>
            {task.due_date && <DueChip due={task} done={done} />}
            {task.rule && <RepeatMark />}
            {task.priority && <PriorityMark priority={task.priority} />}
            <Labels labels={task.labels} />
            {task.body !== "" && (
              <span className={styles.body}>
                <NoteIcon />
                <span>{task.body}</span>
              </span>
            )}
          </div>
        )}
        {marked && <span className={styles.dot} title="Just changed" />}
      </div>
    </li>
  );
});
