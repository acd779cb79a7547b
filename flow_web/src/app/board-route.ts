/** Which board the page shows: after the `#` of its address, so any server can serve it. */
import { useSyncExternalStore } from "react";

import type { BoardId } from "../sync/api";

const PREFIX = "#/boards/";

export const linkToBoard = (board: BoardId): string => PREFIX + encodeURIComponent(board);

/** Return the board that an address's `hash` names, if it names one. */
export const boardInHash = (hash: string): BoardId | undefined => {
  if (!hash.startsWith(PREFIX) || hash.length === PREFIX.length) {
    return undefined;
  }
  try {
    return decodeURIComponent(hash.slice(PREFIX.length)) as BoardId;
  } catch {
    return undefined; // A percent sign that escapes nothing: some other page's address.
  }
};

const subscribe = (listener: () => void): (() => void) => {
  window.addEventListener("hashchange", listener);
  return () => window.removeEventListener("hashchange", listener);
};

export const useRoutedBoard = (): BoardId | undefined =>
  useSyncExternalStore(subscribe, () => boardInHash(window.location.hash));

export const goToBoard = (board: BoardId): void => {
  window.location.hash = linkToBoard(board);
};
