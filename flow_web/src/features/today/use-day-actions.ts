/** What a user can do to a task of a day: shown at once, undone if the server refuses. */
import { useConvex } from "convex/react";
import { useMemo } from "react";

import { api } from "../../sync/api";
import type { Task } from "../../sync/api";
import { completionOf, showComplete, showDue, showReopen } from "../../sync/optimistic";
import { refusalText } from "../../sync/refusal";
import { dueLabel } from "../../ui/dates";
import { useNotices } from "../../ui/notices";
import { dueOf } from "../../ui/when-menu";
import type { When } from "../../ui/when-menu";

export type DayActions = {
  complete: (task: Task) => void;
  /** `when`: null takes the date away. `today`: the date at home, to say it in words. */
  reschedule: (task: Task, when: When | null, today: string) => void;
};

export const useDayActions = (): DayActions => {
  const client = useConvex();
  const { announce, toast } = useNotices();

  return useMemo(() => {
    const explain = (task: Task) => (error: unknown) =>
      toast(`“${task.title}” was not changed. ${refusalText(error)}`);

    const reopen = (task: Task): void => {
      client
        .mutation(api.tasks.reopen, { task: task._id }, { optimisticUpdate: showReopen })
        .catch(explain(task));
    };
    return {
      complete: (task) => {
        const optimisticUpdate = showComplete(Date.now());
        client
          .mutation(api.tasks.complete, completionOf(task), { optimisticUpdate })
          .catch(explain(task));
        const again = task.rule ? " It comes again." : "";
        toast(`“${task.title}” completed.${again}`, { label: "Undo", run: () => reopen(task) });
      },
      reschedule: (task, when, today) => {
        const args = { task: task._id, ...dueOf(when, task.zone) };
        client
          .mutation(api.tasks.set_due, args, { optimisticUpdate: showDue })
          .catch(explain(task));
        announce(
          when === null
            ? `${task.title} has no date now`
            : `${task.title} is due ${dueLabel(when.date, when.time, today)}`,
        );
      },
    };
  }, [announce, client, toast]);
};
