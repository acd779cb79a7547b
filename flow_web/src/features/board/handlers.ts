/** What cards and columns tell their board; one stable object, so that it renders nobody. */
import { createContext, useContext } from "react";

import type { Task, TaskId } from "../../sync/api";
import type { ChangedCards } from "./changed-cards";

export type BoardHandlers = {
  changed: ChangedCards;
  onOpen: (task: Task) => void;
  onToggle: (task: Task) => void;
  onMenu: (task: TaskId, anchor: DOMRect) => void;
  onFocus: (task: TaskId) => void;
  onAdd: (column: string, title: string) => void;
};

export const BoardHandlersContext = createContext<BoardHandlers | null>(null);

export const useBoardHandlers = (): BoardHandlers => {
  const handlers = useContext(BoardHandlersContext);
  if (handlers === null) {
    throw new Error("A card needs a board around it: render it inside BoardView.");
  }
  return handlers;
};
