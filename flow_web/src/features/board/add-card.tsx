/** Adds cards at the end of a column, one line after another. */
import { useState } from "react";
import type { FormEvent, KeyboardEvent } from "react";

import { TITLE_MAX } from "../../sync/api";
import type { Column } from "../../sync/api";
import { PlusIcon } from "../../ui/icons";
import styles from "./column.module.css";
import { useBoardHandlers } from "./handlers";

export const AddCard = ({ column }: { column: Column }) => {
  const { onAdd } = useBoardHandlers();
  // "left": closed by Escape a moment ago, so the button takes the focus back.
  const [state, setState] = useState<"closed" | "open" | "left">("closed");
  const [title, setTitle] = useState("");

  if (state !== "open") {
    return (
      <button
        type="button"
        className={styles.addButton}
        data-add-card
        // oxlint-disable-next-line jsx-a11y/no-autofocus
        autoFocus={state === "left"}
        aria-label={`Add a card to ${column.title}`}
        onClick={() => setState("open")}
      >
        <PlusIcon /> Add a card
      </button>
    );
  }

  const submit = (event: FormEvent) => {
    event.preventDefault();
    const wanted = title.trim();
    if (wanted !== "") {
      onAdd(column.key, wanted);
      setTitle("");
    }
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Escape") {
      setTitle("");
      setState("left");
    }
  };

  return (
    <form className={styles.addForm} onSubmit={submit}>
      <input
        className="field"
        // The field replaces the button that was just pressed, so the focus goes on to it.
        // oxlint-disable-next-line jsx-a11y/no-autofocus
        autoFocus
        aria-label={`Title of the new card in ${column.title}`}
        placeholder="What is to be done?"
        enterKeyHint="done"
        maxLength={TITLE_MAX}
        autoComplete="off"
        value={title}
        onChange={(event) => setTitle(event.target.value)}
        onKeyDown={onKeyDown}
        onBlur={() => {
          if (title.trim() === "") {
            setState((before) => (before === "open" ? "closed" : before));
          }
        }}
      />
    </form>
  );
};
