/** The notes by their titles. */
import { useQuery } from "convex/react";

import { api } from "../../sync/api";
import type { NoteId } from "../../sync/api";
import { NotesIcon } from "../../ui/icons";
import { Empty, Page } from "../../ui/page";

type NotesPageProps = { note: NoteId | undefined; linkTo: (note: NoteId) => string };

export const NotesPage = ({ note, linkTo }: NotesPageProps) => {
  const notes = useQuery(api.notes.list, {});
  return (
    <Page title="Notes">
      {notes?.length === 0 && <Empty icon={<NotesIcon />} title="No notes yet" />}
      <ul>
        {notes?.map(({ _id, title, excerpt }) => (
          <li key={_id}>
            <a href={linkTo(_id)} aria-current={_id === note ? "page" : undefined}>
              {title === "" ? excerpt : title}
            </a>
          </li>
        ))}
      </ul>
    </Page>
  );
};
