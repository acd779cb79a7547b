/** The server's functions and types under the names of this app; `../generated` has them all. */
import type { FunctionArgs } from "convex/server";

import { api } from "../generated/api";
import type { Id } from "../generated/dataModel";

export { api };
export type {
  Attempt,
  Became as Made,
  Board,
  Capture,
  Column,
  DateText,
  Day,
  Edited as NoteEdited,
  FoundNote,
  FoundTask,
  Made as QuickAdded,
  Next as NextDue,
  Note as NoteSummary,
  NoteView as Note,
  Preset as SnoozePreset,
  PreviewHint as Hint,
  PreviewSpan as Span,
  QuickAddView,
  Reminder,
  Ringing,
  Settings,
  Snippet,
  Task,
  TimeText,
} from "../generated/dataModel";

export type BoardId = Id<"boards">;
export type TaskId = Id<"tasks">;
export type CaptureId = Id<"captures">;
export type NoteId = Id<"notes">;
export type ReminderId = Id<"reminders">;
export type DeliveryId = Id<"deliveries">;

/** The longest title that the server takes, in characters: fields stop there, nothing is lost. */
export const TITLE_MAX = 200;

export type ItemKind = FunctionArgs<typeof api.captures.triage>["kind"];

/** A change of settings: what is left out stays. An empty `webhook_url` takes the webhook away. */
export type SettingsPatch = FunctionArgs<typeof api.people.change_settings>;

/** A place in a column, told by a neighbour: an index would be wrong once others move cards. */
export type Place = Omit<FunctionArgs<typeof api.tasks.move>, "task">;
