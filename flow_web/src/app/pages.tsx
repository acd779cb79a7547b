/** The pages that both navigations list, in their order. Boards follow, by name. */
import { BellIcon, InboxIcon, NotesIcon, TodayIcon } from "../ui/icons";

export const PAGES = [
  { page: "today", title: "Today", icon: <TodayIcon /> },
  { page: "inbox", title: "Inbox", icon: <InboxIcon /> },
  { page: "notes", title: "Notes", icon: <NotesIcon /> },
  { page: "reminders", title: "Reminders", icon: <BellIcon /> },
] as const;
