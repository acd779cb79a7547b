/** For tests, a server in memory that speaks the sync protocol to the real client. */
import { ConvexReactClient } from "convex/react";
import { convexToJson } from "convex/values";
import type { Value } from "convex/values";

import type {
  Board,
  BoardId,
  Capture,
  CaptureId,
  Day,
  QuickAddView,
  Reminder,
  ReminderId,
  Settings,
  Task,
  TaskId,
} from "./api";
import { sortTasks } from "./order";

type Version = { querySet: number; ts: string; identity: number };
type Query = { queryId: number; udfPath: string; args: [Record<string, string>] };
type ClientMessage =
  | { type: "ModifyQuerySet"; newVersion: number; modifications: ({ type: string } & Query)[] }
  | { type: "Mutation"; requestId: number; udfPath: string; args: [Record<string, string>] }
  | { type: "Connect" | "Event" };

export const makeBoard = (fields: Partial<Board> = {}): Board => ({
  _id: "b1" as BoardId,
  _creationTime: 1,
  title: "Garden",
  columns: [
    { key: "todo", title: "To do" },
    { key: "doing", title: "Doing" },
    { key: "done", title: "Done" },
  ],
  ...fields,
});

export const makeTask = (
  id: string,
  column: string,
  rank: string,
  fields: Partial<Task> = {},
): Task => ({
  _id: id as TaskId,
  _creationTime: 1,
  board: "b1" as BoardId,
  column,
  rank,
  title: `Card ${id}`,
  body: "",
  labels: [],
  completed_at: null,
  due_date: null,
  due_time: null,
  zone: null,
  due_at: null,
  priority: null,
  duration: null,
  rule: null,
  repeat: null,
  capture: null,
  ...fields,
});

export const makeSettings = (fields: Partial<Settings> = {}): Settings => ({
  home_zone: "Europe/Berlin",
  home_zone_is_set: true,
  morning: "09:00",
  afternoon: "14:00",
  evening: "18:00",
  night: "21:00",
  workday_end: "17:00",
  all_day_reminder: "09:00",
  week_starts: "monday",
  date_order: "mdy",
  quiet_from: null,
  quiet_until: null,
  webhook_url: null,
  webhook_gone_at: null,
  ...fields,
});

export const makeReading = (
  line: string,
  fields: Partial<QuickAddView> = {},
): QuickAddView => ({
  title: line,
  kind: "task",
  due_date: null,
  due_time: null,
  due_at: null,
  zone: null,
  duration: null,
  rule: null,
  rule_text: null,
  anchor: "schedule",
  priority: null,
  project: null,
  section: null,
  labels: [],
  reminders: null,
  body: "",
  hints: [],
  warnings: [],
  spans: [],
  ...fields,
});

export const makeCapture = (id: string, text: string, fields: Partial<Capture> = {}): Capture => ({
  _id: id as CaptureId,
  _creationTime: 1,
  text,
  url: null,
  page_title: null,
  captured_at: 1,
  key: id,
  zone: "Europe/Berlin",
  state: "open",
  became: null,
  parsed_kind: null,
  settled_at: null,
  ...fields,
});

export const makeReminder = (
  id: string,
  title: string,
  fields: Partial<Reminder> = {},
): Reminder => ({
  _id: id as ReminderId,
  _creationTime: 1,
  title,
  due_date: "2026-10-30",
  due_time: "09:00",
  zone: null,
  at: null,
  rule: null,
  anchor: "schedule",
  task: null,
  offset: null,
  capture: null,
  state: "waiting",
  occurrence: "2026-10-30 09:00",
  next_date: "2026-10-30",
  next_time: "09:00",
  next_at: Date.parse("2026-10-30T08:00:00Z"),
  open: null,
  rang: null,
  base: null,
  snoozed_until: null,
  held_until: null,
  closed: 0,
  wakes_at: null,
  job: null,
  canceled: null,
  ...fields,
});

const timestamp = (commit: number): string => {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(commit), true);
  return btoa(String.fromCharCode(...bytes));
};

/**
 * Holds boards and cards, and the mutations that no one has answered yet.
 *
 * Each test says when a mutation is accepted or refused, so that it can look at the screen before.
 */
export class FakeServer {
  readonly mutations: { udfPath: string; args: Record<string, string>; requestId: number }[] = [];
  readonly client: ConvexReactClient;
  boards: Board[];
  tasks: Task[];
  settings: Settings = makeSettings();
  overdue: Task[] = [];
  today: Day = { date: "2026-10-28", tasks: [] };
  upcoming: Day[] = [];
  captures: Capture[] = [];
  reminders: Reminder[] = [];
  /** How this server reads a line of quick add. */
  read: (line: string) => QuickAddView = makeReading;
  triaged: Capture[] = [];
  #socket: FakeSocket | undefined;
  #commit = 1;
  #queries = new Map<number, Query>();
  #version: Version = { querySet: 0, ts: timestamp(0), identity: 0 };

  constructor(boards: Board[], tasks: Task[], reachable = true) {
    this.boards = boards;
    this.tasks = tasks;
    const receive = (message: ClientMessage) => this.#receive(message);
    const connected = (socket: FakeSocket) => {
      this.#socket = socket;
      socket.onopen?.();
    };
    class Socket extends FakeSocket {
      constructor() {
        super(receive);
        if (reachable) {
          queueMicrotask(() => connected(this));
        }
      }
    }
    this.client = new ConvexReactClient("http://localhost:1", {
      webSocketConstructor: Socket as unknown as typeof WebSocket,
      unsavedChangesWarning: false,
      logger: false,
    });
  }

  /** Show all clients a new state of the cards. */
  commit(tasks: Task[]): void {
    this.tasks = tasks;
    this.#commit += 1;
    this.#transition(this.#version.querySet, [...this.#queries.values()]);
  }

  /** Answer the oldest mutation with success; its effect is `tasks`. */
  accept(tasks: Task[], result: Value = null): void {
    const mutation = this.#next();
    this.#send({
      type: "MutationResponse",
      requestId: mutation.requestId,
      success: true,
      result,
      ts: timestamp(this.#commit + 1),
      logLines: [],
    });
    this.commit(tasks);
  }

  /** Answer the oldest mutation with the app's refusal, in its words. */
  refuse(words: string): void {
    const mutation = this.#next();
    this.#send({
      type: "MutationResponse",
      requestId: mutation.requestId,
      success: false,
      result: "Uncaught AppError",
      errorData: words,
      logLines: [],
    });
    // The client holds a refusal back until the next transition.
    this.commit(this.tasks);
  }

  #next(): { requestId: number } {
    const mutation = this.mutations.shift();
    if (mutation === undefined) {
      throw new Error("No mutation is waiting for an answer.");
    }
    return mutation;
  }

  #receive(message: ClientMessage): void {
    if (message.type === "Mutation") {
      this.mutations.push({ ...message, args: message.args[0] });
    } else if (message.type === "ModifyQuerySet") {
      const added = message.modifications.filter(({ type }) => type === "Add");
      for (const query of message.modifications) {
        if (query.type === "Add") {
          this.#queries.set(query.queryId, query);
        } else {
          this.#queries.delete(query.queryId);
        }
      }
      queueMicrotask(() => this.#transition(message.newVersion, added));
    }
  }

  #answer({ udfPath, args: [args] }: Query): Value {
    switch (udfPath) {
      case "boards:list":
        return this.boards;
      case "people:settings":
        return this.settings;
      case "tasks:overdue":
        return this.overdue;
      case "tasks:today":
        return this.today;
      case "tasks:upcoming":
        return this.upcoming;
      case "capture_bar:preview":
        return this.read(String(args["line"]));
      case "captures:list":
        return this.captures;
      case "captures:recent":
        return this.triaged;
      case "reminders:list":
        return this.reminders;
      case "notes:list":
      case "reminders:away":
      case "reminders:ringing":
        return [];
      case "tasks:list":
        return sortTasks(this.tasks.filter((task) => task.board === args["board"]));
      default:
        throw new Error(`The fake server has no query ${udfPath}.`);
    }
  }

  #transition(querySet: number, queries: readonly Query[]): void {
    const startVersion = this.#version;
    this.#version = { querySet, ts: timestamp(this.#commit), identity: 0 };
    const modifications = queries.map((query) => ({
      type: "QueryUpdated",
      queryId: query.queryId,
      value: convexToJson(this.#answer(query)),
      logLines: [],
      journal: null,
    }));
    this.#send({ type: "Transition", startVersion, endVersion: this.#version, modifications });
  }

  #send(message: object): void {
    this.#socket?.onmessage?.({ data: JSON.stringify(message) });
  }
}

class FakeSocket {
  readyState = 1;
  bufferedAmount = 0;
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: ((event: object) => void) | null = null;
  onerror: (() => void) | null = null;
  readonly #receive: (message: ClientMessage) => void;

  constructor(receive: (message: ClientMessage) => void) {
    this.#receive = receive;
  }

  send(data: string): void {
    this.#receive(JSON.parse(data) as ClientMessage);
  }

  close(): void {
    this.readyState = 3;
    this.onclose?.({ code: 1000, reason: "" });
  }
}
