/** How much waits on each page, live, for the navigation. */
import { useQueries } from "convex/react";
import { useMemo } from "react";

import { api } from "./api";
import type { Day } from "./api";

export type Counts = { today: number; inbox: number; reminders: number };

// What has not come yet, or cannot be had, counts nothing: the page itself says what is wrong.
const countOf = (answer: unknown): number => (Array.isArray(answer) ? answer.length : 0);

export const useCounts = (): Counts => {
  const queries = useMemo(
    () => ({
      overdue: { query: api.tasks.overdue, args: {} },
      today: { query: api.tasks.today, args: {} },
      inbox: { query: api.captures.list, args: {} },
      reminders: { query: api.reminders.list, args: {} },
    }),
    [],
  );
  const answers = useQueries(queries);
  const today: Day | Error | undefined = answers["today"];
  const dueToday = today === undefined || today instanceof Error ? 0 : today.tasks.length;
  return {
    today: countOf(answers["overdue"]) + dueToday,
    inbox: countOf(answers["inbox"]),
    reminders: countOf(answers["reminders"]),
  };
};
