/** What can be done to captures: shown at once, undone if the server refuses. */
import type { OptimisticLocalStore } from "convex/browser";
import { useConvex } from "convex/react";
import { useMemo } from "react";

import { api } from "../../sync/api";
import type { Capture, CaptureId, ItemKind } from "../../sync/api";
import { deviceZone } from "../../sync/device";
import { newKey } from "../../sync/keys";
import { refusalText } from "../../sync/refusal";
import { useNotices } from "../../ui/notices";

export type InboxActions = {
  capture: (line: string, onRefused: () => void) => void;
  /** `line` stands for the capture's own text. Without `onRefused` a refusal is told as usual. */
  triage: (
    capture: Capture,
    kind: ItemKind,
    options?: { line?: string; onRefused?: (reason: string) => void },
  ) => void;
  remove: (capture: Capture) => void;
};

const MADE = { task: "a task", note: "a note", reminder: "a reminder" } as const;

const hide =
  (id: CaptureId) =>
  (store: OptimisticLocalStore): void => {
    const shown = store.getQuery(api.captures.list, {});
    if (shown !== undefined) {
      store.setQuery(
        api.captures.list,
        {},
        shown.filter((capture) => capture._id !== id),
      );
    }
  };

type Typed = { line: string; captured_at: number; zone: string; key: string };

const PROVISIONAL = "provisional:";

/** Say whether a capture is still on its way to the server: its id means nothing there. */
export const isOnItsWay = (capture: Capture): boolean => capture._id.startsWith(PROVISIONAL);

const show = (store: OptimisticLocalStore, typed: Typed): void => {
  const shown = store.getQuery(api.captures.list, {});
  if (shown === undefined || shown.some((capture) => capture.key === typed.key)) {
    return;
  }
  const { line, captured_at, zone, key } = typed;
  const added: Capture = {
    _id: `${PROVISIONAL}${key}` as CaptureId,
    _creationTime: captured_at,
    text: line,
    url: null,
    page_title: null,
    captured_at,
    key,
    zone,
    state: "open",
    became: null,
    parsed_kind: null,
    settled_at: null,
  };
  store.setQuery(
    api.captures.list,
    {},
    [...shown, added].toSorted((a, b) => b.captured_at - a.captured_at),
  );
};

export const useInboxActions = (): InboxActions => {
  const client = useConvex();
  const { announce, toast } = useNotices();

  return useMemo(() => {
    const add = (typed: Typed): Promise<unknown> =>
      client.mutation(api.captures.add, typed, { optimisticUpdate: show });

    return {
      capture: (line, onRefused) => {
        const typed = { line, captured_at: Date.now(), zone: deviceZone(), key: newKey() };
        add(typed).catch((error: unknown) => {
          toast(`“${line}” was not put down. ${refusalText(error)}`);
          onRefused();
        });
        announce(`${line} put down`);
      },
      triage: (capture, kind, { line, onRefused } = {}) => {
        const args = { capture: capture._id, kind, ...(line !== undefined && { line }) };
        const mayBeAsked = onRefused !== undefined;
        const done = client.mutation(api.captures.triage, args, {
          // What the server may ask about stays in sight until it has said yes.
          ...(!mayBeAsked && { optimisticUpdate: hide(capture._id) }),
        });
        done.then(
          () => announce(`${capture.text} is ${MADE[kind]} now`),
          (error: unknown) => {
            const reason = refusalText(error);
            if (onRefused === undefined) {
              toast(`“${capture.text}” stays in the inbox. ${reason}`);
            } else {
              onRefused(reason);
            }
          },
        );
      },
      remove: (capture) => {
        const { text, captured_at, zone } = capture;
        client
          .mutation(
            api.captures.remove,
            { capture: capture._id },
            { optimisticUpdate: hide(capture._id) },
          )
          .catch((error: unknown) => toast(`“${text}” was not removed. ${refusalText(error)}`));
        toast(`“${text}” removed.`, {
          label: "Undo",
          run: () => {
            add({ line: text, captured_at, zone, key: newKey() }).catch((error: unknown) =>
              toast(`“${text}” did not come back. ${refusalText(error)}`),
            );
          },
        });
      },
    };
  }, [announce, client, toast]);
};
