/** Marks what others change on the board, and says how much, at most every ten seconds. */
import { useEffect, useRef } from "react";

import type { Task } from "../../sync/api";
import { useNotices } from "../../ui/notices";
import type { ChangedCards } from "./changed-cards";

const SAID_EVERY_MS = 10_000;

const sentence = (cards: number): string =>
  cards === 1 ? "1 card changed by others" : `${cards} cards changed by others`;

/** `tasks`: undefined until the board is there; what it holds at first is no change. */
export const useForeignChanges = (
  tasks: readonly Task[] | undefined,
  changed: ChangedCards,
): void => {
  const { announce } = useNotices();
  const seen = useRef<readonly Task[]>(undefined);
  const unsaid = useRef(0);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);

  useEffect(() => {
    const before = seen.current;
    seen.current = tasks;
    if (before === undefined || tasks === undefined) {
      return;
    }
    unsaid.current += changed.notice(before, tasks);
    if (unsaid.current > 0 && timer.current === undefined) {
      announce(sentence(unsaid.current));
      unsaid.current = 0;
      timer.current = setTimeout(() => {
        timer.current = undefined;
        if (unsaid.current > 0) {
          announce(sentence(unsaid.current));
          unsaid.current = 0;
        }
      }, SAID_EVERY_MS);
    }
  }, [announce, changed, tasks]);

  useEffect(
    () => () => {
      clearTimeout(timer.current);
      timer.current = undefined;
    },
    [],
  );
};
