/** Dialogs about one card: edit its words, or remove it. */
import { useState } from "react";
import type { FormEvent, KeyboardEvent } from "react";

import { TITLE_MAX } from "../../sync/api";
import type { Task } from "../../sync/api";
import { Dialog, DialogButtons } from "../../ui/dialog";
import styles from "./task-dialogs.module.css";

const saveOnCtrlEnter = (event: KeyboardEvent<HTMLTextAreaElement>): void => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.currentTarget.form?.requestSubmit();
  }
};

type EditDialogProps = {
  task: Task;
  /** Whether someone has removed the card since the dialog opened. */
  gone: boolean;
  onSave: (patch: { title?: string; body?: string }) => void;
  onClose: () => void;
};

export const EditDialog = ({ task, gone, onSave, onClose }: EditDialogProps) => {
  // What the card said on opening: others' edits meanwhile must not change words under the hand,
  // and only what was changed here is sent, so that those edits are not undone.
  const [opened] = useState(task);
  const [title, setTitle] = useState(opened.title);
  const [body, setBody] = useState(opened.body);

  const submit = (event: FormEvent) => {
    event.preventDefault();
    const wanted = title.trim();
    const patch = {
      ...(wanted !== "" && wanted !== opened.title && { title: wanted }),
      ...(body !== opened.body && { body }),
    };
    if (Object.keys(patch).length > 0) {
      onSave(patch);
    }
    onClose();
  };

  return (
    <Dialog title="Edit card" onClose={onClose}>
      <form className={styles.form} onSubmit={submit}>
        {gone && (
          <p className={styles.warning} role="alert">
            This card was removed meanwhile. Copy what you need: it cannot be saved.
          </p>
        )}
        <label className={styles.label}>
          Title
          <input
            className="field"
            required
            maxLength={TITLE_MAX}
            autoComplete="off"
            value={title}
            onChange={(event) => setTitle(event.target.value)}
          />
        </label>
        <label className={styles.label}>
          Notes
          <textarea
            className={`field ${styles.body}`}
            rows={6}
            value={body}
            onChange={(event) => setBody(event.target.value)}
            onKeyDown={saveOnCtrlEnter}
          />
        </label>
        <DialogButtons>
          <button type="button" className="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" className="button" data-kind="primary" disabled={gone}>
            Save
          </button>
        </DialogButtons>
      </form>
    </Dialog>
  );
};

type RemoveDialogProps = { task: Task; onRemove: () => void; onClose: () => void };

export const RemoveDialog = ({ task, onRemove, onClose }: RemoveDialogProps) => (
  <Dialog title={`Remove “${task.title}”?`} onClose={onClose}>
    <p className={styles.text}>The card leaves the board on every screen, for good.</p>
    <DialogButtons>
      <button type="button" className="button" onClick={onClose}>
        Keep it
      </button>
      <button
        type="button"
        className="button"
        data-kind="danger"
        onClick={onRemove}
      >
        Remove
      </button>
    </DialogButtons>
  </Dialog>
);
