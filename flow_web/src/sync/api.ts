/** The server's functions, typed by hand until the server generates this file. */
import { makeFunctionReference } from "convex/server";
import type { PaginationOptions, PaginationResult } from "convex/server";
import type { GenericId } from "convex/values";

export type BoardId = GenericId<"boards">;
export type TaskId = GenericId<"tasks">;
export type CaptureId = GenericId<"captures">;
export type NoteId = GenericId<"notes">;
export type ReminderId = GenericId<"reminders">;
export type DeliveryId = GenericId<"deliveries">;

/** The longest title that the server takes, in characters: fields stop there, nothing is lost. */
export const TITLE_MAX = 200;

/** A calendar date as the server writes it, such as "2026-10-30". */
export type DateText = string;
/** A wall time to the minute, such as "09:00". */
export type TimeText = string;

/** Where a task can stand on its board. `key` is what tasks store, `title` what people read. */
export type Column = { key: string; title: string };

export type Board = {
  _id: BoardId;
  _creationTime: number;
  title: string;
  columns: Column[];
};

export type Task = {
  _id: TaskId;
  _creationTime: number;
  board: BoardId;
  column: string;
  /** A fractional index key: compared by code units, never by locale. */
  rank: string;
  title: string;
  body: string;
  labels: string[];
  /** Milliseconds since the epoch; null while the task is open. */
  completed_at: number | null;
  due_date: DateText | null;
  /** null: the whole day. */
  due_time: TimeText | null;
  /** The zone of `due_time`, if it is not that of home. */
  zone: string | null;
  /** When it turns overdue: its time or, of a whole day, the midnight that ends it. */
  due_at: number | null;
  /** 1 is the most urgent of 4. */
  priority: number | null;
  /** How it repeats: the body of an RRULE. */
  rule: string | null;
};

/** When a task that repeats is due next; `at`: when it turns overdue. */
export type NextDue = { date: DateText; at: number };

/** The tasks of one day. */
export type Day = { date: DateText; tasks: Task[] };

export type ItemKind = "task" | "note" | "reminder";

export type Settings = {
  /** An IANA name; "UTC" until somebody, or a first device, has said another. */
  home_zone: string;
  home_zone_is_set: boolean;
  morning: TimeText;
  afternoon: TimeText;
  evening: TimeText;
  night: TimeText;
  workday_end: TimeText;
  all_day_reminder: TimeText;
  week_starts: "monday" | "sunday";
  date_order: "mdy" | "dmy";
  /** Both or neither. */
  quiet_from: TimeText | null;
  quiet_until: TimeText | null;
  webhook_url: string | null;
};

/** A change of settings: what is left out stays. An empty `webhook_url` takes the webhook away. */
export type SettingsPatch = Partial<
  Omit<Settings, "home_zone_is_set" | "webhook_url"> & {
    webhook_url: string;
    webhook_secret: string;
  }
>;

/** A piece of a line of quick add; `start` and `end` are UTF-16 offsets in the line. */
export type Span = { start: number; end: number; kind: string; label: string };

/** What could be read but was not: accepted with Tab. `meaning`: a date, a wall time, or a rule. */
export type Hint = { text: string; meaning: string; start: number; end: number };

/** What a line of quick add says, as the server reads it. */
export type QuickAddView = {
  title: string;
  kind: ItemKind;
  due_date: DateText | null;
  due_time: TimeText | null;
  due_at: number | null;
  zone: string | null;
  rule: string | null;
  rule_text: string | null;
  priority: number | null;
  project: string | null;
  labels: string[];
  reminders: string[] | null;
  body: string;
  hints: Hint[];
  warnings: string[];
  spans: Span[];
};

/** A typed line, with the moment and the place it was typed at: "tomorrow" counts from there. */
export type CapturedLine = { line: string; captured_at: number; zone: string };

export type QuickAdded = {
  kind: ItemKind;
  id: string;
  title: string;
  due_at: number | null;
  board: BoardId | null;
  warnings: string[];
};

export type Made = { kind: ItemKind; id: string };

export type Capture = {
  _id: CaptureId;
  _creationTime: number;
  text: string;
  url: string | null;
  /** What the page of `url` is called, once that has been looked up. */
  page_title: string | null;
  captured_at: number;
  key: string;
  zone: string;
  state: "open" | "triaged" | "removed";
  /** What it was made into. */
  became: Made | null;
  parsed_kind: ItemKind | null;
};

/** A note as lists show it, without its text. */
export type NoteSummary = {
  _id: NoteId;
  _creationTime: number;
  title: string;
  excerpt: string;
  tags: string[];
  pinned: boolean;
  version: number;
  edited_at: number;
};

export type Note = Omit<NoteSummary, "excerpt"> & { body: string; capture: CaptureId | null };

/** `base`: the version whose text is exactly what was sent; the next edit starts from it. */
export type NoteEdited = { version: number; merged: boolean; conflict: boolean; base: number };

export type Reminder = {
  _id: ReminderId;
  _creationTime: number;
  title: string;
  task: TaskId | null;
  offset: string | null;
  due_date: DateText | null;
  due_time: TimeText | null;
  zone: string | null;
  rule: string | null;
  anchor: "schedule" | "done";
  next_at: number | null;
  occurrence: string | null;
  state: "waiting" | "ringing" | "done" | "canceled";
  snoozed_until: number | null;
};

/** A reminder that rings. `silent`: so late that it is listed, and nothing pops up. */
export type Ringing = {
  delivery: DeliveryId;
  reminder: ReminderId;
  occurrence: string;
  title: string;
  rang_at: number;
  due_at: number;
  late_seconds: number;
  /** How many occurrences before this one passed unseen. */
  missed: number;
  silent: boolean;
  task: TaskId | null;
};

export type SnoozePreset = { key: string; label: string; at: number };

/** One try to tell a webhook. */
export type Attempt = { at: number; status: number | null; error: string | null };

/** A place in a column, told by a neighbour: an index would be wrong once others move cards. */
export type Place = { column: string; before?: TaskId; after?: TaskId };

type None = Record<string, never>;
type TaskArgs = { task: TaskId };
type NoteArgs = { note: NoteId };
type ReminderArgs = { reminder: ReminderId };

export const api = {
  boards: {
    list: makeFunctionReference<"query", None, Board[]>("boards:list"),
    get: makeFunctionReference<"query", { board: BoardId }, Board | null>("boards:get"),
    create: makeFunctionReference<"mutation", { title: string; columns?: string[] }, BoardId>(
      "boards:create",
    ),
  },
  tasks: {
    list: makeFunctionReference<"query", { board: BoardId }, Task[]>("tasks:list"),
    get: makeFunctionReference<"query", TaskArgs, Task | null>("tasks:get"),
    page: makeFunctionReference<
      "query",
      { board: BoardId; paginationOpts: PaginationOptions },
      PaginationResult<Task>
    >("tasks:page"),
    add: makeFunctionReference<
      "mutation",
      {
        board: BoardId;
        title: string;
        column?: string;
        body?: string;
        labels?: string[];
        due_date?: DateText;
        due_time?: TimeText;
        zone?: string;
      },
      TaskId
    >("tasks:add"),
    move: makeFunctionReference<"mutation", TaskArgs & Place, null>("tasks:move"),
    edit: makeFunctionReference<
      "mutation",
      TaskArgs & { title?: string; body?: string; labels?: string[] },
      null
    >("tasks:edit"),
    complete: makeFunctionReference<"mutation", TaskArgs & { due_at?: number }, NextDue | null>(
      "tasks:complete",
    ),
    reopen: makeFunctionReference<"mutation", TaskArgs, null>("tasks:reopen"),
    remove: makeFunctionReference<"mutation", TaskArgs, null>("tasks:remove"),
    quickAdd: makeFunctionReference<
      "mutation",
      CapturedLine & { board?: BoardId; key?: string },
      QuickAdded
    >("tasks:quick_add"),
    setDue: makeFunctionReference<
      "mutation",
      TaskArgs & { due_date: DateText | null; due_time?: TimeText | null; zone?: string },
      null
    >("tasks:set_due"),
    overdue: makeFunctionReference<"query", None, Task[]>("tasks:overdue"),
    today: makeFunctionReference<"query", None, Day>("tasks:today"),
    upcoming: makeFunctionReference<"query", { days?: number }, Day[]>("tasks:upcoming"),
  },
  captureBar: {
    preview: makeFunctionReference<"query", CapturedLine, QuickAddView>("capture_bar:preview"),
  },
  captures: {
    add: makeFunctionReference<"mutation", CapturedLine & { key: string }, CaptureId>(
      "captures:add",
    ),
    list: makeFunctionReference<"query", None, Capture[]>("captures:list"),
    recent: makeFunctionReference<"query", None, Capture[]>("captures:recent"),
    triage: makeFunctionReference<
      "mutation",
      { capture: CaptureId; kind: ItemKind; board?: BoardId; line?: string },
      Made
    >("captures:triage"),
    remove: makeFunctionReference<"mutation", { capture: CaptureId }, null>("captures:remove"),
  },
  notes: {
    list: makeFunctionReference<"query", { tag?: string }, NoteSummary[]>("notes:list"),
    get: makeFunctionReference<"query", NoteArgs, { note: Note; html: string } | null>("notes:get"),
    create: makeFunctionReference<
      "mutation",
      { title?: string; body?: string; tags?: string[] },
      NoteId
    >("notes:create"),
    edit: makeFunctionReference<
      "mutation",
      NoteArgs & {
        base: number;
        title?: string;
        body?: string;
        tags?: string[];
        pinned?: boolean;
      },
      NoteEdited
    >("notes:edit"),
    remove: makeFunctionReference<"mutation", NoteArgs, null>("notes:remove"),
  },
  reminders: {
    list: makeFunctionReference<"query", None, Reminder[]>("reminders:list"),
    ringing: makeFunctionReference<"query", None, Ringing[]>("reminders:ringing"),
    away: makeFunctionReference<"query", None, Ringing[]>("reminders:away"),
    attempts: makeFunctionReference<"query", ReminderArgs, Attempt[]>("reminders:attempts"),
    snoozePresets: makeFunctionReference<"query", None, SnoozePreset[]>(
      "reminders:snooze_presets",
    ),
    create: makeFunctionReference<
      "mutation",
      {
        title: string;
        due_date?: DateText;
        due_time?: TimeText;
        zone?: string;
        at?: number;
        rule?: string;
        anchor?: "schedule" | "done";
        task?: TaskId;
        offset?: string;
      },
      ReminderId
    >("reminders:create"),
    snooze: makeFunctionReference<
      "mutation",
      ReminderArgs & { until?: number; preset?: string },
      null
    >("reminders:snooze"),
    acknowledge: makeFunctionReference<"mutation", ReminderArgs & { occurrence?: string }, null>(
      "reminders:acknowledge",
    ),
    cancel: makeFunctionReference<"mutation", ReminderArgs, null>("reminders:cancel"),
  },
  people: {
    settings: makeFunctionReference<"query", None, Settings>("people:settings"),
    changeSettings: makeFunctionReference<"mutation", SettingsPatch, null>(
      "people:change_settings",
    ),
    offerZone: makeFunctionReference<"mutation", { zone: string }, null>("people:offer_zone"),
  },
};
