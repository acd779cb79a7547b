/** Cancel a reminder, with a way back: the server keeps what is canceled, and restores it as it was. */
import { useConvex } from "convex/react";

import { api } from "../../sync/api";
import type { Reminder } from "../../sync/api";
import { refusalText } from "../../sync/refusal";
import { useNotices } from "../../ui/notices";

export const useCancel = (): ((reminder: Pick<Reminder, "_id" | "title">) => void) => {
  const client = useConvex();
  const { announce, toast } = useNotices();
  const explain = (what: string) => (error: unknown) => toast(`${what} ${refusalText(error)}`);

  return ({ _id: reminder, title }) => {
    const restore = () => {
      client.mutation(api.reminders.restore, { reminder }).then(
        () => announce(`“${title}” is back.`),
        explain(`“${title}” was not restored.`),
      );
    };
    client.mutation(api.reminders.cancel, { reminder }).then(
      () => toast(`“${title}” will not ring.`, { label: "Undo", run: restore }),
      explain(`“${title}” still stands.`),
    );
  };
};
