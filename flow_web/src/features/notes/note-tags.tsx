/** The tags of a note; with `onChange` they can be taken off, and others put on. */
import { useState } from "react";
import type { CSSProperties, KeyboardEvent } from "react";

import { hueOf } from "../../ui/hue";
import { CloseIcon } from "../../ui/icons";
import styles from "./note-tags.module.css";

const TAG_MAX = 50;

type NoteTagsProps = { tags: readonly string[]; onChange?: (tags: string[]) => void };

export const NoteTags = ({ tags, onChange }: NoteTagsProps) => {
  const [typed, setTyped] = useState("");
  if (tags.length === 0 && onChange === undefined) {
    return null;
  }
  const add = () => {
    const wanted = typed.split(",").map((tag) => tag.trim().replace(/^#+/u, ""));
    setTyped("");
    const known = new Set(tags.map((tag) => tag.toLowerCase()));
    const added = wanted.filter((tag) => tag !== "" && !known.has(tag.toLowerCase()));
    if (added.length > 0) {
      onChange?.([...tags, ...added]);
    }
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) {
      return;
    }
    if (event.key === "Enter" || event.key === ",") {
      event.preventDefault();
      add();
    } else if (event.key === "Backspace" && typed === "" && tags.length > 0) {
      onChange?.(tags.slice(0, -1));
    }
  };
  return (
    <ul className={styles.tags} aria-label="Tags">
      {tags.map((tag) => (
        <li key={tag} className={styles.tag} style={{ "--hue": hueOf(tag) } as CSSProperties}>
          {tag}
          {onChange !== undefined && (
            <button
              type="button"
              aria-label={`Take off the tag ${tag}`}
              onClick={() => onChange(tags.filter((each) => each !== tag))}
            >
              <CloseIcon />
            </button>
          )}
        </li>
      ))}
      {onChange !== undefined && (
        <li>
          <input
            className={styles.field}
            aria-label="Add a tag"
            placeholder="Add a tag"
            autoComplete="off"
            enterKeyHint="done"
            maxLength={TAG_MAX}
            value={typed}
            onChange={(event) => setTyped(event.target.value)}
            onKeyDown={onKeyDown}
            onBlur={add}
          />
        </li>
      )}
    </ul>
  );
};
