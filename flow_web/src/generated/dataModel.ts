/* eslint-disable */
/**
 * The documents of the app `flow`, and what else its functions take and give.
 *
 * Written by `flow codegen` from the annotations of the Python code: change those, and run it
 * again.
 */

import type { GenericId } from "convex/values";

/** The tables of the app. */
export type TableNames =
  | "boards"
  | "captures"
  | "completions"
  | "deliveries"
  | "note_texts"
  | "note_versions"
  | "notes"
  | "quick_adds"
  | "reminders"
  | "settings"
  | "tasks"
  | "webhook_attempts";

/** The id of a document of a table. */
export type Id<Table extends TableNames> = GenericId<Table>;

/** The documents of each table. */
export type Documents = {
  boards: Board;
  captures: Capture;
  completions: Completion;
  deliveries: Delivery;
  note_texts: NoteText;
  note_versions: NoteVersion;
  notes: Note;
  quick_adds: QuickAdded;
  reminders: Reminder;
  settings: SettingsRow;
  tasks: Task;
  webhook_attempts: WebhookAttempt;
};

/** A document of a table. */
export type Doc<Table extends TableNames> = Documents[Table];

/** A point in time: milliseconds since the Unix epoch, as of `Date.now()`. */
export type Instant = number;

/** A calendar date, such as "2026-11-22". */
export type DateText = string;

/** A time of day, such as "08:00" or "08:00:30". */
export type TimeText = string;

/** One call of the webhook: its status, or why there is none. */
export type Attempt = {
  at: Instant;
  status: number | null;
  error: string | null;
};

/** What a capture was made into; `id` is one of the table that belongs to the kind. */
export type Became = {
  kind: "task" | "note" | "reminder";
  id: string;
};

/** A board: columns of tasks. */
export type Board = {
  _id: Id<"boards">;
  _creationTime: Instant;
  title: string;
  columns: Column[];
};

/** What a reminder waited for when it was canceled: a restored one waits for that again. */
export type Canceled = {
  occurrence: string | null;
  next_date: DateText | null;
  next_time: TimeText | null;
  next_at: Instant | null;
  open: string | null;
  snoozed_until: Instant | null;
  held_until: Instant | null;
};

/** A line that somebody put down, to be looked at later. */
export type Capture = {
  _id: Id<"captures">;
  _creationTime: Instant;
  text: string;
  /** Made by the client, so that a line that is sent twice is one capture. */
  key: string;
  /** When it was put down, on the clock of the device, which may have been offline. */
  captured_at: Instant;
  /** Where that was; "tomorrow" counts from there. */
  zone: string;
  /** The first address in the line; `page_title` is what its page says it is called. */
  url: string | null;
  page_title: string | null;
  /** What the line reads like. */
  parsed_kind: "task" | "note" | "reminder" | null;
  state: "open" | "triaged" | "removed";
  /** What it was made into; `settled_at` is when that was, or when it was removed. */
  became: Became | null;
  settled_at: Instant | null;
};

/** A column of a board. Tasks name it by its key, so that a title can change. */
export type Column = {
  key: string;
  title: string;
};

/** An occurrence of a repeating task that was done, and what was open before: to take it back. */
export type Completion = {
  _id: Id<"completions">;
  _creationTime: Instant;
  task: Id<"tasks">;
  /** Its nominal wall time; `missed` counts those that it stands for. */
  occurrence: string;
  done_at: Instant;
  missed: number;
  /** The task's, before. */
  due_date: DateText;
  /** The task's, before. */
  due_time: TimeText | null;
  /** The task's, before. */
  due_at: Instant | null;
  /** The task's, before. */
  repeat: RepeatState;
};

/** The open tasks that are due on a day, by their time; those of all of the day come last. */
export type Day = {
  date: DateText;
  tasks: Task[];
};

/** One occurrence of a reminder on its way to people: in the app, or to the webhook. */
export type Delivery = {
  _id: Id<"deliveries">;
  _creationTime: Instant;
  reminder: Id<"reminders">;
  occurrence: string;
  channel: "app" | "webhook";
  /**
   * In the app ringing, snoozed, held, or listed (too late to ring), then acknowledged, replaced
   * (by the next occurrence) or ended (with what it belongs to); of a webhook due, then
   * acknowledged (by its receiver), failed or ended.
   */
  state:
    | "ringing"
    | "snoozed"
    | "held"
    | "listed"
    | "acknowledged"
    | "replaced"
    | "ended"
    | "due"
    | "failed";
  /** The reminder's, so that a screen full of rings is read as one range. */
  title: string;
  /** The reminder's, so that a screen full of rings is read as one range. */
  task: Id<"tasks"> | null;
  due_at: Instant;
  /** When it rang last, or would have. */
  rang_at: Instant;
  /** By how much that was too late; 0 if it was not. */
  late_seconds: number;
  /** How many occurrences it stands for that came and could not ring. */
  missed: number;
  /** It is too late to make a noise. */
  silent: boolean;
  /** How often it rang, as it may be snoozed. */
  rings: number;
  /** How often the webhook was called for its last ring. */
  attempts: number;
  /** What looks at the webhook next. */
  job: GenericId<"_scheduled_functions"> | null;
  /** Why the webhook failed, the last time. */
  error: string | null;
};

/** How an edit ended. */
export type Edited = {
  /** Of the note as it is now. */
  version: number;
  /** Somebody else had changed it since `base`. */
  merged: boolean;
  /** Both changed the same words, so that the other's stand below in a quote. */
  conflict: boolean;
  /**
   * The version that is the very text that was sent; the next edit by who goes on typing in it
   * names this one. It differs from `version` only if something was merged.
   */
  base: number;
};

/** A note that a search has found, and what to show of it. */
export type FoundNote = {
  note: Note;
  snippet: Snippet;
};

/** A task that a search has found, and what to show of it. */
export type FoundTask = {
  task: Task;
  snippet: Snippet;
};

/** What a line was made into. */
export type Made = {
  kind: "task" | "note" | "reminder";
  /** Of the table that belongs to `kind`. */
  id: string;
  title: string;
  due_at: Instant | null;
  /** Where a task stands. */
  board: Id<"boards"> | null;
  /** What may not be as it was meant, in words. */
  warnings: string[];
};

/** A call to make: where, and what is signed. */
export type Message = {
  url: string;
  secret: string;
  message_id: string;
  body: string;
};

/** When a task that repeats is due next; `at` is the instant at which it turns overdue. */
export type Next = {
  date: DateText;
  at: Instant;
};

/** A note, without its text: that is in its newest version. So a list of notes stays small. */
export type Note = {
  _id: Id<"notes">;
  _creationTime: Instant;
  title: string;
  excerpt: string;
  tags: string[];
  pinned: boolean;
  version: number;
  edited_at: Instant;
  capture: Id<"captures"> | null;
};

/** The text of a note as it is now, to be searched: neither a list nor a version is that. */
export type NoteText = {
  _id: Id<"note_texts">;
  _creationTime: Instant;
  note: Id<"notes">;
  title: string;
  body: string;
  tags: string[];
};

/** A note as it once was. What an edit began with is found here when it has to be merged. */
export type NoteVersion = {
  _id: Id<"note_versions">;
  _creationTime: Instant;
  note: Id<"notes">;
  version: number;
  title: string;
  body: string;
  tags: string[];
  edited_at: Instant;
};

/** A note with its text, as a client gets it; the names are those of a document. */
export type NoteView = {
  _id: Id<"notes">;
  _creationTime: Instant;
  title: string;
  body: string;
  tags: string[];
  pinned: boolean;
  version: number;
  edited_at: Instant;
  capture: Id<"captures"> | null;
};

/** A note and its text as clean HTML. */
export type OpenNote = {
  note: NoteView;
  html: string;
};

/** A snooze that is offered: `key` names it, `label` is what the button says. */
export type Preset = {
  key: string;
  label: string;
  at: Instant;
};

/** A phrase that could be read: its place, in UTF-16 units, and what it would mean. */
export type PreviewHint = {
  start: number;
  end: number;
  text: string;
  meaning: string;
};

/** A phrase that was read: its place in the line, in UTF-16 units, and what its chip says. */
export type PreviewSpan = {
  start: number;
  end: number;
  kind:
    | "project"
    | "label"
    | "priority"
    | "person"
    | "body"
    | "kind"
    | "reminder"
    | "repeat"
    | "date"
    | "time"
    | "duration";
  label: string;
};

/** A line, read, as the browser shows it. */
export type QuickAddView = {
  title: string;
  kind: "task" | "note" | "reminder";
  due_date: DateText | null;
  due_time: TimeText | null;
  due_at: Instant | null;
  zone: string | null;
  duration: string | null;
  rule: string | null;
  rule_text: string | null;
  anchor: "schedule" | "done";
  priority: number | null;
  project: string | null;
  section: string | null;
  labels: string[];
  reminders: string[] | null;
  body: string;
  hints: PreviewHint[];
  warnings: string[];
  spans: PreviewSpan[];
};

/** What a line was made into, by the key that the device gave it: a line sent twice is one. */
export type QuickAdded = {
  _id: Id<"quick_adds">;
  _creationTime: Instant;
  key: string;
  kind: "task" | "note" | "reminder";
  item: string;
};

/** Something to be reminded of: one row, however often it rings. */
export type Reminder = {
  _id: Id<"reminders">;
  _creationTime: Instant;
  title: string;
  /** The day of it, or of the first of a repeat; `due_time` None is all of the day. */
  due_date: DateText;
  due_time: TimeText | null;
  /** Where that is read; None is home, wherever that will be. */
  zone: string | null;
  /** The instant of it, if that came first and the wall time follows from it. */
  at: Instant | null;
  rule: string | null;
  anchor: "schedule" | "done";
  /** What it belongs to, and `offset` how far from that task's due it rings. */
  task: Id<"tasks"> | null;
  offset: string | null;
  capture: Id<"captures"> | null;
  state: "waiting" | "ringing" | "done" | "canceled";
  /** The nominal wall time that it rings for next; `next_at` is when. */
  occurrence: string | null;
  /** The day of that, for when another zone makes it another instant. */
  next_date: DateText | null;
  next_time: TimeText | null;
  next_at: Instant | null;
  /** The occurrence that has rung, or is held or snoozed, and nobody acknowledged. */
  open: string | null;
  /** The occurrence that it rang for last. */
  rang: string | null;
  /** The due time of its task that it was set by. */
  base: string | null;
  snoozed_until: Instant | null;
  /** The end of the quiet hours that keep it. */
  held_until: Instant | null;
  /** How many occurrences were closed by a repeat that counts from completion. */
  closed: number;
  /** The instant of `job`, the one job that waits for it. */
  wakes_at: Instant | null;
  job: GenericId<"_scheduled_functions"> | null;
  /** Of one that is canceled, what is needed to restore it. */
  canceled: Canceled | null;
};

/** Where a repeating task stands. */
export type RepeatState = {
  /**
   * The day of its first occurrence, from which intervals count; `start_at` is the instant of it,
   * if the rule counts elapsed time.
   */
  start: DateText;
  anchor: "schedule" | "done";
  start_at: Instant | null;
  /** How many occurrences were closed. */
  closed: number;
};

/** A ring that nobody has acknowledged: what a toast shows. */
export type Ringing = {
  /** Its identity on the screen: the same one after a reconnect is the same toast. */
  delivery: Id<"deliveries">;
  reminder: Id<"reminders">;
  /** What to acknowledge it by; `late` for the entry that sums up. */
  occurrence: string;
  title: string;
  rang_at: Instant;
  due_at: Instant;
  /** 0 if it was on time. */
  late_seconds: number;
  /** How many occurrences it stands for that could not ring. */
  missed: number;
  /** It is too late to make a noise: it belongs in the list alone. */
  silent: boolean;
  task: Id<"tasks"> | null;
  /** How many late rings this entry stands for; 1 is itself. */
  count: number;
};

/** What is set, or its default. The secret of the webhook is not here: see `webhook_of`. */
export type Settings = {
  /** An IANA zone; days begin and end by it. */
  home_zone: string;
  /** Whether somebody said so; a first device may as long as nobody did. */
  home_zone_is_set: boolean;
  /** When those words mean. */
  morning: TimeText;
  /** When those words mean. */
  afternoon: TimeText;
  /** When those words mean. */
  evening: TimeText;
  /** When those words mean. */
  night: TimeText;
  /** When those words mean. */
  workday_end: TimeText;
  /** When reminders of a day without a time ring. */
  all_day_reminder: TimeText;
  week_starts: "monday" | "sunday";
  date_order: "mdy" | "dmy";
  /** Wall times between which nothing rings; both or neither. */
  quiet_from: TimeText | null;
  /** Wall times between which nothing rings; both or neither. */
  quiet_until: TimeText | null;
  webhook_url: string | null;
  /** When its receiver said that it wants no more: until it is set anew, nothing is sent. */
  webhook_gone_at: Instant | null;
};

/** The settings: one row, once something was changed. Read it by `flow.settings`. */
export type SettingsRow = {
  _id: Id<"settings">;
  _creationTime: Instant;
  home_zone: string | null;
  morning: TimeText;
  afternoon: TimeText;
  evening: TimeText;
  night: TimeText;
  workday_end: TimeText;
  all_day_reminder: TimeText;
  week_starts: "monday" | "sunday";
  date_order: "mdy" | "dmy";
  quiet_from: TimeText | null;
  quiet_until: TimeText | null;
  webhook_url: string | null;
  webhook_secret: string | null;
  webhook_gone_at: Instant | null;
};

/** A part of a field's text, in pieces, so that no client must read markup in them. */
export type Snippet = {
  /** Whose text it is. */
  field: string;
  /** Joined they are the text, with … where something was left out before or after. */
  parts: SnippetPart[];
};

/** A piece of a text; `hit` says that it is what was searched for. */
export type SnippetPart = {
  text: string;
  hit: boolean;
};

/** A card on a board. `rank` orders the cards of a column. */
export type Task = {
  _id: Id<"tasks">;
  _creationTime: Instant;
  board: Id<"boards">;
  column: string;
  rank: string;
  title: string;
  body: string;
  labels: string[];
  completed_at: Instant | null;
  /** The day it is due; `due_time` None is all of the day. */
  due_date: DateText | null;
  due_time: TimeText | null;
  /** Where the time is read; None is home, wherever that will be. */
  zone: string | null;
  /**
   * Follows from these: the instant of the time, or the midnight that ends the day. From then on it
   * is overdue.
   */
  due_at: Instant | null;
  /** 1, the highest, to 4. */
  priority: number | null;
  /** ISO 8601, such as `PT90M`. */
  duration: string | null;
  /** The body of an RRULE, if it repeats; there is one open occurrence at a time. */
  rule: string | null;
  repeat: RepeatState | null;
  /** The line that it was made of. */
  capture: Id<"captures"> | null;
};

/** One call of the webhook; without a status and an error it is under way, or was cut off. */
export type WebhookAttempt = {
  _id: Id<"webhook_attempts">;
  _creationTime: Instant;
  reminder: Id<"reminders">;
  delivery: Id<"deliveries">;
  at: Instant;
  status: number | null;
  error: string | null;
};
