/** The reminders that wait, by when they ring. */
import { useQuery } from "convex/react";

import { api } from "../../sync/api";
import { dateIn, dueLabel, timeIn } from "../../ui/dates";
import { useHomeDay } from "../../ui/home-day";
import { BellIcon } from "../../ui/icons";
import { Empty, Page } from "../../ui/page";

export const RemindersPage = () => {
  const reminders = useQuery(api.reminders.list, {});
  const { zone, today } = useHomeDay();
  return (
    <Page title="Reminders">
      {reminders?.length === 0 && <Empty icon={<BellIcon />} title="Nothing will ring" />}
      <ul>
        {reminders?.map(({ _id, title, next_at: at }) => (
          <li key={_id}>
            {title}
            {at !== null && `, ${dueLabel(dateIn(zone, at), timeIn(zone, at), today)}`}
          </li>
        ))}
      </ul>
    </Page>
  );
};
