/* eslint-disable */
/**
 * The functions of the app `flow`, as the official clients call them.
 *
 * Written by `flow codegen` from the annotations of the Python code: change those, and run it
 * again.
 */

import { anyApi } from "convex/server";
import type { FunctionReference, PaginationOptions, PaginationResult } from "convex/server";

import type {
  Attempt,
  Became,
  Board,
  Capture,
  DateText,
  Day,
  Edited,
  FoundNote,
  FoundTask,
  Id,
  Instant,
  Made,
  Message,
  Next,
  Note,
  OpenNote,
  Preset,
  QuickAddView,
  Reminder,
  Ringing,
  Settings,
  Task,
  TimeText,
} from "./dataModel";

export type Api = {
  boards: {
    /** Make a board; without `columns` it gets To do, Doing and Done. */
    create: FunctionReference<
      "mutation",
      "public",
      { title: string; columns?: string[] | null },
      Id<"boards">
    >;
    /** Give a board, or null if there is none. */
    get: FunctionReference<"query", "public", { board: Id<"boards"> }, Board | null>;
    /** Give all boards, the oldest first. */
    list: FunctionReference<"query", "public", Record<string, never>, Board[]>;
  };
  capture_bar: {
    /** Read a line and make nothing of it. */
    preview: FunctionReference<
      "query",
      "public",
      {
        /** As it stands in the field. */
        line: string;
        /** The time on the device. */
        captured_at: Instant;
        /** Where the device is; one that is none is that of home. */
        zone: string;
      },
      QuickAddView
    >;
  };
  captures: {
    /**
     * Put down a line; one with the same `key` that is there already is the same one.
     *
     * The device says when and where that was: it may send the line much later. What it says
     * wrongly is put right and not refused, so that no line is lost by a wrong clock.
     *
     * Raises: AppError if there is nothing in the line, or too much.
     */
    add: FunctionReference<
      "mutation",
      "public",
      { line: string; captured_at: Instant; zone: string; key: string },
      Id<"captures">
    >;
    /** Give what was put down and not yet looked at, the newest first. */
    list: FunctionReference<"query", "public", Record<string, never>, Capture[]>;
    /** Give the captures that were made into something last, the newest of these first. */
    recent: FunctionReference<"query", "public", Record<string, never>, Capture[]>;
    /** Take a capture off the lists. What it was made into stays. */
    remove: FunctionReference<"mutation", "public", { capture: Id<"captures"> }, null>;
    /**
     * Make a capture into a task, a note or a reminder: of its line, or of another given here.
     *
     * One that was made into something already stays that: two may sort the same inbox.
     *
     * Raises: AppError if the capture is gone, or a reminder's line does not say when.
     */
    triage: FunctionReference<
      "mutation",
      "public",
      {
        capture: Id<"captures">;
        kind: "task" | "note" | "reminder";
        board?: Id<"boards"> | null;
        line?: string | null;
      },
      Became
    >;
  };
  notes: {
    /** Make a note. */
    create: FunctionReference<
      "mutation",
      "public",
      { title?: string; body?: string; tags?: string[] | null },
      Id<"notes">
    >;
    /**
     * Change what is given of a note; `base` is the version that the change was made of.
     *
     * If somebody else changed the note since, both changes are merged: see `flow.text.merge`. Each
     * title, text and tag that anyone sent is kept as a version. Nothing new writes nothing.
     *
     * Raises: AppError if the note is gone, `base` is no version of it, or it would be too long.
     */
    edit: FunctionReference<
      "mutation",
      "public",
      {
        note: Id<"notes">;
        base: number;
        title?: string | null;
        body?: string | null;
        tags?: string[] | null;
        pinned?: boolean | null;
      },
      Edited
    >;
    /** Give a note with its text, as Markdown and as HTML, or null if there is none. */
    get: FunctionReference<"query", "public", { note: Id<"notes"> }, OpenNote | null>;
    /** Give the notes without their texts: pinned ones first, then the last edited one first. */
    list: FunctionReference<"query", "public", { tag?: string | null }, Note[]>;
    /** Remove a note. One that is gone already is gone: two people may both remove it. */
    remove: FunctionReference<"mutation", "public", { note: Id<"notes"> }, null>;
    /**
     * Find notes by the words of their titles, tags and texts, the best first.
     *
     * The last word may be the beginning of one.
     */
    search: FunctionReference<"query", "public", { text: string; count?: number }, FoundNote[]>;
  };
  people: {
    /**
     * Change what is given, and leave the rest.
     *
     * Quiet hours are taken away by null for both ends, the webhook (and with it its secret) by an
     * empty `webhook_url`.
     *
     * Raises: AppError for an unknown zone, half of the quiet hours, or a webhook that could not
     * work.
     */
    change_settings: FunctionReference<
      "mutation",
      "public",
      {
        home_zone?: string | null;
        morning?: TimeText | null;
        afternoon?: TimeText | null;
        evening?: TimeText | null;
        night?: TimeText | null;
        workday_end?: TimeText | null;
        all_day_reminder?: TimeText | null;
        week_starts?: "monday" | "sunday" | null;
        date_order?: "mdy" | "dmy" | null;
        quiet_from?: TimeText | "keep" | null;
        quiet_until?: TimeText | "keep" | null;
        webhook_url?: string | null;
        webhook_secret?: string | null;
      },
      null
    >;
    /**
     * Take a device's zone as that of home, if nobody has said one yet.
     *
     * A device that travels never moves a person's day: after the first, only a person does.
     */
    offer_zone: FunctionReference<"mutation", "public", { zone: string }, null>;
    /** Give the settings, or their defaults. */
    settings: FunctionReference<"query", "public", Record<string, never>, Settings>;
  };
  reminders: {
    /**
     * Note that somebody has seen it: it stops on every screen.
     *
     * Of two who do, the second changes nothing. `occurrence` says which one was seen, so that one
     * that has come meanwhile goes on ringing; `late` is all that rang late.
     */
    acknowledge: FunctionReference<
      "mutation",
      "public",
      { reminder: Id<"reminders">; occurrence?: string | null },
      null
    >;
    /** Give the calls of the webhook for a reminder, the newest first. */
    attempts: FunctionReference<"query", "public", { reminder: Id<"reminders"> }, Attempt[]>;
    /**
     * Give what came while Flow was away and nobody has acknowledged, the newest first.
     *
     * A repeat that is more than a day late is only here; what rang late is here too.
     */
    away: FunctionReference<"query", "public", Record<string, never>, Ringing[]>;
    /**
     * End a reminder: it rings no more, and is gone from every screen. Twice is once.
     *
     * It is kept, so that `restore` can bring it back.
     */
    cancel: FunctionReference<"mutation", "public", { reminder: Id<"reminders"> }, null>;
    /**
     * Make a reminder: at a wall time, or at an instant; once, or by a rule.
     *
     * Without `due_time` it rings when reminders of whole days do. Without `zone` it follows the
     * home zone. What is past rings at once, and says how late it is. With `task` and `offset` it
     * rings that far from when the task is due, and moves with it.
     */
    create: FunctionReference<
      "mutation",
      "public",
      {
        title: string;
        due_date?: DateText | null;
        due_time?: TimeText | null;
        zone?: string | null;
        at?: Instant | null;
        rule?: string | null;
        anchor?: "schedule" | "done";
        task?: Id<"tasks"> | null;
        offset?: string | null;
      },
      Id<"reminders">
    >;
    /** Give the reminders that ring or wait, the next one first. */
    list: FunctionReference<"query", "public", Record<string, never>, Reminder[]>;
    /**
     * Bring back a reminder that was canceled, as it was. Twice is once; so is one that stands.
     *
     * What rang or was snoozed is so again, without a new ring. A repeat skips what came while it
     * was canceled; what was due within the last minute still rings. One of a task follows it
     * again.
     *
     * Raises: AppError if it is gone, if nothing of it is left to come, or if its task has a
     * reminder for the same time meanwhile.
     */
    restore: FunctionReference<"mutation", "public", { reminder: Id<"reminders"> }, null>;
    /**
     * Give what rings now and nobody has acknowledged, the newest last.
     *
     * More than five that came late, after downtime, are one entry: `count` says for how many it
     * stands, and acknowledging its `occurrence` acknowledges them all.
     */
    ringing: FunctionReference<"query", "public", Record<string, never>, Ringing[]>;
    /**
     * Let what rings come again later; when it is due stays as it is.
     *
     * The next occurrence of a repeat replaces it, if that comes first. Two who snooze: the later
     * one counts.
     */
    snooze: FunctionReference<
      "mutation",
      "public",
      { reminder: Id<"reminders">; until?: Instant | null; preset?: string | null },
      null
    >;
    /** Give the snoozes that make sense at the moment, in the order in which to show them. */
    snooze_presets: FunctionReference<"query", "public", Record<string, never>, Preset[]>;
  };
  tasks: {
    /**
     * Add a task at the end of a column; without one, of the board's first.
     *
     * Without `due_time` it is due all of the day; without `zone` the time is that of home.
     */
    add: FunctionReference<
      "mutation",
      "public",
      {
        board: Id<"boards">;
        title: string;
        column?: string | null;
        body?: string;
        labels?: string[] | null;
        due_date?: DateText | null;
        due_time?: TimeText | null;
        zone?: string | null;
        priority?: number | null;
      },
      Id<"tasks">
    >;
    /**
     * Note that a task is done; one that is done already keeps its time.
     *
     * One that repeats goes on with its next occurrence, which is the result. What has passed
     * meanwhile is skipped. `due_at` is the one that the client saw: if another device has
     * completed that occurrence already, it is not the next one that is done.
     */
    complete: FunctionReference<
      "mutation",
      "public",
      { task: Id<"tasks">; due_at?: Instant | null },
      Next | null
    >;
    /** Change what is given of a task, and leave the rest; a null `priority` takes it away. */
    edit: FunctionReference<
      "mutation",
      "public",
      {
        task: Id<"tasks">;
        title?: string | null;
        body?: string | null;
        labels?: string[] | null;
        priority?: number | "keep" | null;
      },
      null
    >;
    /** Give a task, or null if there is none. */
    get: FunctionReference<"query", "public", { task: Id<"tasks"> }, Task | null>;
    /** Give a board's tasks, by the order of its columns and then by rank. */
    list: FunctionReference<"query", "public", { board: Id<"boards"> }, Task[]>;
    /**
     * Move a task into a column: before or after another task, else to its end.
     *
     * Where a task was that has left the column meanwhile is not on record, so such a neighbour
     * counts as none. A client that names both neighbours still gets its place: `before` counts
     * first, then `after`, then the end. A task beside itself stays; to its own place nothing is
     * written.
     */
    move: FunctionReference<
      "mutation",
      "public",
      {
        task: Id<"tasks">;
        column: string;
        before?: Id<"tasks"> | null;
        after?: Id<"tasks"> | null;
      },
      null
    >;
    /**
     * Give the open tasks whose time has passed, the longest overdue first; at most 1,000.
     *
     * The list changes by itself: it is run again when the next task's instant passes.
     */
    overdue: FunctionReference<"query", "public", Record<string, never>, Task[]>;
    /** Give a board's tasks piece by piece, by column key and rank. */
    page: FunctionReference<
      "query",
      "public",
      { board: Id<"boards">; paginationOpts: PaginationOptions },
      PaginationResult<Task>
    >;
    /** Make what a line says: a task, or a note or a reminder if it begins so. */
    quick_add: FunctionReference<
      "mutation",
      "public",
      {
        /** Such as `Pay rent every month on the 1st #Home`. */
        line: string;
        /** When it was typed, by the device; the line may arrive much later. */
        captured_at: Instant;
        /** Where that was. */
        zone: string;
        /** Where a task goes that names no project. */
        board?: Id<"boards"> | null;
        /** Made by the device: a line that is sent twice is made into one item. */
        key?: string | null;
      },
      Made
    >;
    /** Remove a task. One that is gone already is gone: two people may both remove it. */
    remove: FunctionReference<"mutation", "public", { task: Id<"tasks"> }, null>;
    /** Note that a task is not done after all; of one that repeats, that its last time was not. */
    reopen: FunctionReference<"mutation", "public", { task: Id<"tasks"> }, null>;
    /**
     * Find tasks by the words of their titles, labels and texts, the best first.
     *
     * The last word may be the beginning of one. It finds done tasks, too.
     */
    search: FunctionReference<
      "query",
      "public",
      { text: string; board?: Id<"boards"> | null; count?: number },
      FoundTask[]
    >;
    /**
     * Say when a task is due; null takes its date away, and its repeat with it.
     *
     * Of a repeat only the open occurrence is moved. Its reminders move along.
     */
    set_due: FunctionReference<
      "mutation",
      "public",
      {
        task: Id<"tasks">;
        due_date: DateText | null;
        due_time?: TimeText | null;
        zone?: string | null;
      },
      null
    >;
    /** Let a task have these reminders and no others, such as `-PT30M` before it is due. */
    set_reminders: FunctionReference<
      "mutation",
      "public",
      { task: Id<"tasks">; offsets: string[] },
      null
    >;
    /** Let a task with a date repeat by a rule (the body of an RRULE); null ends that. */
    set_repeat: FunctionReference<
      "mutation",
      "public",
      { task: Id<"tasks">; rule: string | null; anchor?: "schedule" | "done" },
      null
    >;
    /**
     * Give what is still due today, by its time; what is overdue already is not in it.
     *
     * The day is that of the home zone, and turns by itself at midnight there.
     */
    today: FunctionReference<"query", "public", Record<string, never>, Day>;
    /** Give what is due from tomorrow on, by its day; days without a task are left out. */
    upcoming: FunctionReference<"query", "public", { days?: number }, Day[]>;
  };
};

export type Internal = {
  captures: {
    /** Ask a page for its title. Why there is none is told by the record of this job. */
    fetch_title: FunctionReference<
      "action",
      "internal",
      { capture: Id<"captures">; url: string },
      null
    >;
    /** Note what the page of a capture is called. */
    note_title: FunctionReference<
      "mutation",
      "internal",
      { capture: Id<"captures">; title: string },
      null
    >;
  };
  notes: {
    /** Remove the versions of a note that is gone, and go on later if they are too many. */
    forget_versions: FunctionReference<"mutation", "internal", { note: Id<"notes"> }, null>;
  };
  ringing: {
    /** Do what is due of a reminder, however late it is. A job that was overtaken does nothing. */
    ring: FunctionReference<
      "mutation",
      "internal",
      { reminder: Id<"reminders">; wakes_at: Instant },
      null
    >;
  };
  webhook: {
    /** Give what is to be sent, None if that is nothing any more. */
    message: FunctionReference<"query", "internal", { delivery: Id<"deliveries"> }, Message | null>;
    /** Write down how an attempt went, and what follows from it. */
    note: FunctionReference<
      "mutation",
      "internal",
      {
        delivery: Id<"deliveries">;
        attempt: Id<"webhook_attempts">;
        status: number | null;
        error: string | null;
      },
      null
    >;
    /** Call the webhook once, and note how that went. */
    send: FunctionReference<
      "action",
      "internal",
      { delivery: Id<"deliveries">; attempt: Id<"webhook_attempts"> },
      null
    >;
    /**
     * Begin an attempt, if it is still wanted.
     *
     * It looks first, so it may come once too often. The turn after it is made together with it: if
     * the server dies before the action has said how it went, that one finds the attempt without an
     * end, and tries again.
     */
    turn: FunctionReference<
      "mutation",
      "internal",
      { delivery: Id<"deliveries">; rings: number; attempt: number },
      null
    >;
  };
  zone_moves: {
    /** Go on with `reminders_moved`. */
    derive_more: FunctionReference<"mutation", "internal", { cursor: string }, null>;
    /** Go on with `tasks_moved`. */
    move_more_tasks: FunctionReference<"mutation", "internal", { cursor: string | null }, null>;
  };
};

/** The functions that clients may call, such as `api.tasks.list`. */
export const api = anyApi as unknown as Api;

/** Those that only the server's own functions and admins may call. */
export const internal = anyApi as unknown as Internal;
