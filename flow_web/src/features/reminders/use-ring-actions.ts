/** What can be done about a ring: it stops in every window at once, also before the server knows. */
import type { OptimisticLocalStore } from "convex/browser";
import { useConvex } from "convex/react";
import { useMemo } from "react";

import { api } from "../../sync/api";
import type { ReminderId, Ringing, SnoozePreset } from "../../sync/api";
import { refusalText } from "../../sync/refusal";
import { useNotices } from "../../ui/notices";

export type RingActions = {
  acknowledge: (ring: Pick<Ringing, "reminder" | "occurrence" | "title">) => void;
  snooze: (ring: Pick<Ringing, "reminder" | "title">, preset: SnoozePreset) => void;
};

const silence =
  (reminder: ReminderId) =>
  (store: OptimisticLocalStore): void => {
    const ringing = store.getQuery(api.reminders.ringing, {});
    if (ringing !== undefined) {
      const rest = ringing.filter((ring) => ring.reminder !== reminder);
      store.setQuery(api.reminders.ringing, {}, rest);
    }
  };

export const useRingActions = (): RingActions => {
  const client = useConvex();
  const { announce, toast } = useNotices();

  return useMemo(() => {
    const explain = (what: string) => (error: unknown) => toast(`${what} ${refusalText(error)}`);
    return {
      acknowledge: ({ reminder, occurrence, title }) => {
        client
          .mutation(
            api.reminders.acknowledge,
            { reminder, occurrence },
            { optimisticUpdate: silence(reminder) },
          )
          .then(
            () => announce(`Done: ${title}`),
            explain(`“${title}” still rings.`),
          );
      },
      snooze: ({ reminder, title }, { key, label }) => {
        client
          .mutation(
            api.reminders.snooze,
            { reminder, preset: key },
            { optimisticUpdate: silence(reminder) },
          )
          .then(
            () => announce(`${title}: snoozed, ${label}`),
            explain(`“${title}” was not snoozed.`),
          );
      },
    };
  }, [announce, client, toast]);
};
