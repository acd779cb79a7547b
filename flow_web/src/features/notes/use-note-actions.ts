/** What can be done to a note as a whole: make, pin, tag, remove; a refusal is told. */
import type { OptimisticLocalStore } from "convex/browser";
import { useConvex } from "convex/react";
import { useMemo } from "react";

import { api } from "../../sync/api";
import type { Note, NoteId, NoteSummary } from "../../sync/api";
import { refusalText } from "../../sync/refusal";
import { useNotices } from "../../ui/notices";
import type { NoteText } from "./draft";

export type NoteActions = {
  create: (text?: NoteText & { tags: string[] }) => void;
  pin: (note: Note, pinned: boolean) => void;
  tag: (note: Note, tags: string[]) => void;
  remove: (note: Note, text: NoteText) => void;
};

/** Name a note for people: many have no title. */
export const nameOf = ({ title, excerpt = "" }: { title: string; excerpt?: string }): string =>
  title !== "" ? title : excerpt !== "" ? excerpt : "Untitled";

const showList = (
  store: OptimisticLocalStore,
  change: (notes: NoteSummary[]) => NoteSummary[],
): void => {
  const shown = store.getQuery(api.notes.list, {});
  if (shown !== undefined) {
    store.setQuery(api.notes.list, {}, change(shown));
  }
};

const inOrder = (a: NoteSummary, b: NoteSummary): number =>
  Number(b.pinned) - Number(a.pinned) || b.edited_at - a.edited_at;

const showChange =
  (id: NoteId, change: { pinned: boolean } | { tags: string[] }) =>
  (store: OptimisticLocalStore): void => {
    showList(store, (notes) =>
      notes.map((note) => (note._id === id ? { ...note, ...change } : note)).toSorted(inOrder),
    );
    const open = store.getQuery(api.notes.get, { note: id });
    if (open) {
      store.setQuery(api.notes.get, { note: id }, { ...open, note: { ...open.note, ...change } });
    }
  };

/** `onMade`: a note was made here, and is to be shown. */
export const useNoteActions = (
  onMade: (note: NoteId) => void,
  onRemoved: () => void,
): NoteActions => {
  const client = useConvex();
  const { announce, toast } = useNotices();

  return useMemo(() => {
    const explain = (what: string) => (error: unknown) => toast(`${what} ${refusalText(error)}`);

    const create: NoteActions["create"] = (text) => {
      client
        .mutation(api.notes.create, text ?? {})
        .then(onMade, explain("The note was not made."));
    };
    const restore = async (note: Note, { title, body }: NoteText): Promise<void> => {
      const made = await client.mutation(api.notes.create, { title, body, tags: note.tags });
      if (note.pinned) {
        await client.mutation(api.notes.edit, { note: made, base: 1, pinned: true });
      }
      onMade(made);
    };
    const change = (note: Note, changed: { pinned: boolean } | { tags: string[] }): void => {
      client
        .mutation(
          api.notes.edit,
          { note: note._id, base: note.version, ...changed },
          { optimisticUpdate: showChange(note._id, changed) },
        )
        .catch(explain(`“${nameOf(note)}” was not changed.`));
    };
    return {
      create,
      pin: (note, pinned) => {
        change(note, { pinned });
        announce(`${nameOf(note)} ${pinned ? "pinned" : "unpinned"}`);
      },
      tag: (note, tags) => change(note, { tags }),
      remove: (note, text) => {
        const name = nameOf(text);
        const hide = (store: OptimisticLocalStore) =>
          showList(store, (notes) => notes.filter(({ _id }) => _id !== note._id));
        client
          .mutation(api.notes.remove, { note: note._id }, { optimisticUpdate: hide })
          .catch(explain(`“${name}” was not removed.`));
        onRemoved();
        toast(`“${name}” removed.`, {
          label: "Undo",
          run: () => {
            restore(note, text).catch(explain(`“${name}” did not come back.`));
          },
        });
      },
    };
  }, [announce, client, onMade, onRemoved, toast]);
};
