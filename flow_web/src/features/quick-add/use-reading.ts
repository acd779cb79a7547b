/** How the server reads the line, a moment after it was typed; never out of order. */
import { useConvex } from "convex/react";
import { useEffect, useState } from "react";

import { api } from "../../sync/api";
import type { Hint, QuickAddView, Span } from "../../sync/api";
import { deviceZone } from "../../sync/device";
import { carry, inDraft, lineOf, openHints } from "./draft";
import type { Draft } from "./draft";

const PAUSE_MS = 60;

/** `spans` and `hints` are ranges of `text`, which is the draft as it was when it was read. */
export type Reading = {
  text: string;
  view: QuickAddView;
  spans: readonly Span[];
  hints: readonly Hint[];
};

/** Return the last reading, with its ranges where they are in the draft by now. */
export const useReading = (draft: Draft): Reading | undefined => {
  const client = useConvex();
  const [read, setRead] = useState<Reading>();
  const empty = draft.text.trim() === "";

  useEffect(() => {
    if (empty) {
      return undefined;
    }
    // An answer counts only while its line is still the one that is shown.
    let current = true;
    const ask = async () => {
      const args = { line: lineOf(draft), captured_at: Date.now(), zone: deviceZone() };
      try {
        const view = await client.query(api.capture_bar.preview, args);
        if (current) {
          const spans = inDraft(draft, view.spans);
          setRead({ text: draft.text, view, spans, hints: inDraft(draft, openHints(view)) });
        }
      } catch {
        // Without a reading the line is plain text, and can be saved all the same.
      }
    };
    const timer = setTimeout(() => void ask(), PAUSE_MS);
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [client, draft, empty]);

  if (read === undefined || empty || read.text === draft.text) {
    return empty ? undefined : read;
  }
  return {
    text: draft.text,
    view: read.view,
    spans: carry(read.spans, read.text, draft.text),
    hints: carry(read.hints, read.text, draft.text),
  };
};
