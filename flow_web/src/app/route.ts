/** Which page is shown: after the `#` of the address, so any server can serve it. */
import { useSyncExternalStore } from "react";

import type { BoardId, NoteId, TaskId } from "../sync/api";

export type Route =
  | { page: "today" }
  | { page: "inbox" }
  | { page: "notes"; note: NoteId | undefined }
  | { page: "reminders" }
  /** Without a board: the first one. A task of it is shown and gets the focus. */
  | { page: "board"; board: BoardId | undefined; task: TaskId | undefined };

const TODAY: Route = { page: "today" };

export const LINKS = {
  today: "#/",
  inbox: "#/inbox",
  notes: "#/notes",
  reminders: "#/reminders",
  board: "#/board",
} as const;

/** Return the link to a board, or to a task on it. */
export const linkToBoard = (board: BoardId, task?: TaskId): string => {
  const link = `${LINKS.board}/${encodeURIComponent(board)}`;
  return task === undefined ? link : `${link}/${encodeURIComponent(task)}`;
};

export const linkToNote = (note: NoteId): string => `${LINKS.notes}/${encodeURIComponent(note)}`;

const decoded = (part: string | undefined): string | undefined => {
  try {
    return part === undefined || part === "" ? undefined : decodeURIComponent(part);
  } catch {
    return undefined; // A percent sign that escapes nothing: no id of ours.
  }
};

/** Return the page that an address's `hash` names; what names none is Today. */
export const routeOf = (hash: string): Route => {
  const [, page, id, task] = hash.split("/");
  switch (page) {
    case "inbox":
      return { page: "inbox" };
    case "notes":
      return { page: "notes", note: decoded(id) as NoteId | undefined };
    case "reminders":
      return { page: "reminders" };
    case "board":
    case "boards": // As links to boards were written at first.
      return {
        page: "board",
        board: decoded(id) as BoardId | undefined,
        task: decoded(task) as TaskId | undefined,
      };
    default:
      return TODAY;
  }
};

const subscribe = (listener: () => void): (() => void) => {
  window.addEventListener("hashchange", listener);
  return () => window.removeEventListener("hashchange", listener);
};

// A text, since two routes that read alike would not be the same object.
const currentHash = (): string => window.location.hash;

export const useRoute = (): Route => routeOf(useSyncExternalStore(subscribe, currentHash));

/** Take the task out of the address: it was shown, and may be asked for again. */
export const forgetTask = (board: BoardId): void =>
  window.history.replaceState(window.history.state, "", linkToBoard(board));

export const goTo = (link: string): void => {
  window.location.hash = link;
};
