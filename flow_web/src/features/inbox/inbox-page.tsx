/** What was put down to be looked at later, newest first. */
import { useQuery } from "convex/react";

import { api } from "../../sync/api";
import { InboxIcon } from "../../ui/icons";
import { Empty, Page } from "../../ui/page";

export const InboxPage = () => {
  const captures = useQuery(api.captures.list, {});
  return (
    <Page title="Inbox">
      {captures?.length === 0 && <Empty icon={<InboxIcon />} title="The inbox is empty" />}
      <ul>
        {captures?.map((capture) => (
          <li key={capture._id}>{capture.page_title ?? capture.text}</li>
        ))}
      </ul>
    </Page>
  );
};
