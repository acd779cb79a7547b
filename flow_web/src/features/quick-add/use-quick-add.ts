/** Sends typed lines to be kept as tasks, notes or reminders; what is refused comes back. */
import { useConvex } from "convex/react";
import { useCallback } from "react";

import { api } from "../../sync/api";
import type { BoardId, QuickAdded } from "../../sync/api";
import { deviceZone } from "../../sync/device";
import { newKey } from "../../sync/keys";
import { refusalText } from "../../sync/refusal";
import { useNotices } from "../../ui/notices";

const KIND = { task: "Task", note: "Note", reminder: "Reminder" } as const;

export type Add = {
  line: string;
  /** Whether to go to what it became. */
  open: boolean;
  /** Called if the line was refused. */
  onRefused: () => void;
};

type QuickAddOptions = {
  /** The board that is shown: tasks that name no other are put there. */
  board: BoardId | undefined;
  onOpen: (added: QuickAdded) => void;
};

export const useQuickAdd = ({ board, onOpen }: QuickAddOptions): ((add: Add) => void) => {
  const client = useConvex();
  const { announce, toast } = useNotices();

  return useCallback(
    ({ line, open, onRefused }) => {
      const typed = { line, captured_at: Date.now(), zone: deviceZone(), key: newKey() };
      const args = board === undefined ? typed : { ...typed, board };
      const tell = (added: QuickAdded): void => {
        const said = `${KIND[added.kind]} “${added.title}” added.`;
        if (open) {
          announce(said);
          onOpen(added);
        } else if (board !== undefined && added.board === board) {
          announce(said); // It is on the screen already.
        } else {
          toast(said, { label: "Open", run: () => onOpen(added) });
        }
      };
      client.mutation(api.tasks.quick_add, args).then(tell, (error: unknown) => {
        toast(`“${line}” was not added. ${refusalText(error)}`);
        onRefused();
      });
    },
    [announce, board, client, onOpen, toast],
  );
};
