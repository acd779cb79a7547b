/** The server's functions, typed by hand until the server generates this file. */
import { makeFunctionReference } from "convex/server";
import type { PaginationOptions, PaginationResult } from "convex/server";
import type { GenericId } from "convex/values";

export type BoardId = GenericId<"boards">;
export type TaskId = GenericId<"tasks">;

/** The longest title that the server takes, in characters: fields stop there, nothing is lost. */
export const TITLE_MAX = 200;

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
};

/** A place in a column, told by a neighbour: an index would be wrong once others move cards. */
export type Place = { column: string; before?: TaskId; after?: TaskId };

type TaskArgs = { task: TaskId };

export const api = {
  boards: {
    list: makeFunctionReference<"query", Record<string, never>, Board[]>("boards:list"),
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
      { board: BoardId; title: string; column?: string; body?: string; labels?: string[] },
      TaskId
    >("tasks:add"),
    move: makeFunctionReference<"mutation", TaskArgs & Place, null>("tasks:move"),
    edit: makeFunctionReference<
      "mutation",
      TaskArgs & { title?: string; body?: string; labels?: string[] },
      null
    >("tasks:edit"),
    complete: makeFunctionReference<"mutation", TaskArgs, null>("tasks:complete"),
    reopen: makeFunctionReference<"mutation", TaskArgs, null>("tasks:reopen"),
    remove: makeFunctionReference<"mutation", TaskArgs, null>("tasks:remove"),
  },
};
