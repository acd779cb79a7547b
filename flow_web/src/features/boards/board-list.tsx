/** The boards by name, and a line that makes a new one. */
import { useConvex } from "convex/react";
import { useId, useState } from "react";
import type { FormEvent } from "react";

import { api, TITLE_MAX } from "../../sync/api";
import type { Board, BoardId } from "../../sync/api";
import { refusalText } from "../../sync/refusal";
import { PlusIcon } from "../../ui/icons";
import { useNotices } from "../../ui/notices";
import styles from "./board-list.module.css";

type BoardListProps = {
  boards: readonly Board[];
  current: BoardId | undefined;
  linkTo: (board: BoardId) => string;
  onFollow: () => void;
};

export const BoardList = ({ boards, current, linkTo, onFollow }: BoardListProps) => (
  <ul className={styles.list}>
    {boards.map((board) => (
      <li key={board._id}>
        <a
          href={linkTo(board._id)}
          className={styles.link}
          data-board-id={board._id}
          aria-current={board._id === current ? "page" : undefined}
          onClick={onFollow}
        >
          {board.title}
        </a>
      </li>
    ))}
  </ul>
);

type NewBoardProps = { onCreated: (board: BoardId) => void };
/** A line that makes a board with the usual three columns. */
export const NewBoard = ({ onCreated }: NewBoardProps) => {
  const client = useConvex();
  const { announce, toast } = useNotices();
  const [title, setTitle] = useState("");
  const [saving, setSaving] = useState(false);
  const fieldId = useId();

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const wanted = title.trim();
    if (wanted === "" || saving) {
      return;
    }
    setSaving(true);
    try {
      const board = await client.mutation(api.boards.create, { title: wanted });
      setTitle("");
      announce(`Board ${wanted} created`);
      onCreated(board);
    } catch (error) {
      toast(`The board “${wanted}” was not created. ${refusalText(error)}`);
    } finally {
      setSaving(false);
    }
  };

  return (
    <form className={styles.form} onSubmit={submit} aria-busy={saving || undefined}>
      <label htmlFor={fieldId} className="visually-hidden">
        Title of the new board
      </label>
      <input
        id={fieldId}
        className="field"
        placeholder="New board"
        autoComplete="off"
        enterKeyHint="done"
        maxLength={TITLE_MAX}
        value={title}
        onChange={(event) => setTitle(event.target.value)}
      />
      <button type="submit" className={`icon-button ${styles.add}`} aria-label="Create the board">
        <PlusIcon />
      </button>
    </form>
  );
};
