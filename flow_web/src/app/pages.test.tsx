import { act, fireEvent, render, screen, within } from "@testing-library/react";
import { ConvexProvider } from "convex/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import type { QuickAddView, Span, TaskId } from "../sync/api";
import {
  FakeServer,
  makeBoard,
  makeCapture,
  makeReading,
  makeReminder,
  makeTask,
} from "../sync/fake-server";
import { App } from "./app";

const NOW = Date.parse("2026-10-28T09:30:00Z"); // 10:30 in Berlin, a Wednesday.
const MINUTE = 60_000;

const late = makeTask("late", "todo", "a0", {
  title: "Call the plumber",
  due_date: "2026-10-27",
  due_time: "15:00",
  due_at: NOW - 20 * 60 * MINUTE,
});
const soon = makeTask("soon", "todo", "a1", {
  title: "Gym",
  due_date: "2026-10-28",
  due_time: "17:00",
  due_at: NOW + 390 * MINUTE,
  priority: 1,
});
const later = makeTask("later", "todo", "a2", {
  title: "Water plants",
  due_date: "2026-10-30",
  due_at: NOW + 60 * 60 * MINUTE,
  rule: "FREQ=DAILY;INTERVAL=2",
});

let server: FakeServer;

beforeEach(() => {
  vi.useFakeTimers({ now: NOW });
  server = new FakeServer([makeBoard()], [late, soon, later]);
  server.overdue = [late];
  server.today = { date: "2026-10-28", tasks: [soon] };
  server.upcoming = [{ date: "2026-10-30", tasks: [later] }];
});

afterEach(() => {
  void server.client.close();
  vi.useRealTimers();
  localStorage.clear();
  window.location.hash = "";
});

const settle = (milliseconds = 0): Promise<unknown> =>
  act(() => vi.advanceTimersByTimeAsync(milliseconds));

const openAt = async (hash: string): Promise<void> => {
  window.location.hash = hash;
  render(
    <ConvexProvider client={server.client}>
      <App />
    </ConvexProvider>,
  );
  await settle();
};

const rowsIn = (section: string): (string | null)[] =>
  within(screen.getByRole("region", { name: section }))
    .getAllByRole("listitem")
    .map((row) => row.textContent);

const said = (): string => document.querySelector("[data-live-region]")?.textContent ?? "";

const linkTo = (page: string): HTMLElement =>
  within(screen.getByRole("navigation", { name: "Pages" })).getByRole("link", {
    name: new RegExp(`^${page}`, "u"),
  });

// --- Today

test("Today shows what is late, what is due and what follows, and counts the first two", async () => {
  await openAt("#/");

  expect(rowsIn("Overdue")).toEqual(["Call the plumberOverdue: Yesterday 15:00Garden"]);
  expect(rowsIn("Due today")).toEqual(["GymDue 17:00Priority 1Garden"]);
  expect(rowsIn("Friday")).toEqual(["Water plantsRepeatsGarden"]);
  expect(linkTo("Today").textContent).toBe("Today2");
  expect(document.title).toBe("Today · Flow");
});

test("what is ticked off leaves at once, and comes back when the server refuses", async () => {
  await openAt("#/");

  fireEvent.click(screen.getByRole("checkbox", { name: "Done: Gym" }));
  await settle();

  expect(screen.queryByText("Gym")).toBeNull();
  expect(linkTo("Today").textContent).toBe("Today1");

  server.refuse("Not today.");
  await settle();

  expect(rowsIn("Due today")).toHaveLength(1);
  expect(said()).toBe("“Gym” was not changed. Not today.");
});

test("a ticked task can be taken back", async () => {
  await openAt("#/");

  fireEvent.click(screen.getByRole("checkbox", { name: "Done: Gym" }));
  await settle();
  fireEvent.click(screen.getByRole("button", { name: "Undo" }));
  await settle();

  expect(server.mutations.map(({ udfPath }) => udfPath)).toEqual(["tasks:complete", "tasks:reopen"]);
});

test("a task that is put off moves to its day and keeps its time", async () => {
  await openAt("#/");

  fireEvent.click(screen.getByRole("button", { name: "Reschedule: Call the plumber" }));
  fireEvent.click(screen.getByRole("button", { name: /^Today/u }));
  await settle();

  expect(screen.queryByRole("region", { name: "Overdue" })).toBeNull();
  expect(rowsIn("Due today")[0]).toBe("Call the plumberDue 15:00Garden");
  expect(server.mutations[0]).toMatchObject({
    udfPath: "tasks:set_due",
    args: { task: "late", due_date: "2026-10-28", due_time: "15:00" },
  });
});

const dueChip = (): Element | null => screen.getByText(/17:00/u).closest("[data-due]");

test("a task that is put off to a day without others makes that day", async () => {
  await openAt("#/");

  fireEvent.click(screen.getByRole("button", { name: "Reschedule: Gym" }));
  fireEvent.click(screen.getByRole("button", { name: /^Next week/u }));
  await settle();

  expect(screen.queryByRole("region", { name: "Due today" })).toBeNull();
  expect(rowsIn("Monday")).toEqual(["GymDue 17:00Priority 1Garden"]);
  expect(screen.getAllByRole("heading", { level: 2 }).map((each) => each.textContent)).toEqual(
    ["Boards", "Overdue1", "Friday", "Monday"],
  );
});

test("a card turns overdue when its time passes, with nothing from the server", async () => {
  // Sooner than the client misses a sign of life from this silent server.
  server.tasks = [{ ...soon, due_at: NOW + 20_000 }];
  await openAt("#/board/b1");
  expect(dueChip()?.getAttribute("data-due")).toBe("today");

  await settle(19_900);
  expect(dueChip()?.getAttribute("data-due")).toBe("today");
  await settle(100);

  expect(dueChip()?.getAttribute("data-due")).toBe("overdue");
  expect(dueChip()?.textContent).toBe("Overdue: Today 17:00");
});

test("an old link to a board still opens it", async () => {
  await openAt("#/boards/b1");

  expect(screen.getByRole("heading", { name: "Garden" })).toBeTruthy();
});

// --- The quick-add line

const spanOf = (line: string, phrase: string, label: string): Span => {
  const start = line.indexOf(phrase);
  return { start, end: start + phrase.length, kind: "date", label };
};

/** Reads "friday" at the end, as long as no backslash stands before it; offers "monday". */
const readFriday = (line: string): QuickAddView =>
  makeReading(line, {
    spans: /(?<!\\)friday$/u.test(line) ? [spanOf(line, "friday", "Fri 30 Oct")] : [],
    hints: line.startsWith("monday")
      ? [{ text: "monday", meaning: "2026-11-02", start: 0, end: 6 }]
      : [],
  });

const line = (): HTMLInputElement => screen.getByLabelText("Add a task, note or reminder");

const type = async (text: string): Promise<void> => {
  line().focus();
  fireEvent.change(line(), { target: { value: text } });
  line().setSelectionRange(text.length, text.length);
  await settle(100);
};

const chips = (): (string | null)[] =>
  within(screen.getByRole("list", { name: "What was understood" }))
    .queryAllByRole("listitem")
    .map((chip) => chip.textContent);

const tinted = (): (string | null)[] =>
  [...document.querySelectorAll("[data-tint]")].map((piece) => piece.textContent);

test("Q goes to the line, unless something is typed already", async () => {
  await openAt("#/inbox");

  fireEvent.keyDown(document.body, { key: "q" });
  expect(document.activeElement).toBe(line());

  const other = screen.getByLabelText("Put something down");
  other.focus();
  fireEvent.keyDown(other, { key: "q" });
  expect(document.activeElement).toBe(other);
});

test("a phrase that was read is tinted, and said as a chip and aloud", async () => {
  server.read = readFriday;
  await openAt("#/");

  await type("Report friday");
  expect(tinted()).toEqual(["friday"]);
  expect(chips()).toEqual(["Fri 30 Oct"]);
  expect(line().selectionStart).toBe(13);
  await settle(500);

  expect(said()).toBe("Fri 30 Oct");
});

test("Backspace after a phrase undoes the reading and keeps the words", async () => {
  server.read = readFriday;
  await openAt("#/");
  await type("Report friday");

  fireEvent.keyDown(line(), { key: "Backspace" });
  await settle(100);

  expect(line().value).toBe("Report friday");
  expect(chips()).toEqual([]);
  fireEvent.keyDown(line(), { key: "Enter" });
  expect(server.mutations[0]?.args["line"]).toBe("Report \\friday");
});

test("Tab accepts what is offered, and only there", async () => {
  server.read = readFriday;
  await openAt("#/");
  await type("monday report");
  expect(tinted()).toEqual(["monday"]);

  expect(fireEvent.keyDown(line(), { key: "Tab" })).toBe(true); // Goes on, as Tab does.
  line().setSelectionRange(3, 3);
  expect(fireEvent.keyDown(line(), { key: "Tab" })).toBe(false);

  expect(line().value).toBe("monday report on 2026-11-02");
});

test("Enter saves and stays; a refused line comes back", async () => {
  await openAt("#/board/b1");
  await type("Buy milk");

  fireEvent.keyDown(line(), { key: "Enter" });
  await settle();
  expect(line().value).toBe("");
  expect(document.activeElement).toBe(line());
  expect(server.mutations[0]).toMatchObject({
    udfPath: "tasks:quick_add",
    args: { line: "Buy milk", board: "b1", captured_at: NOW + 100 },
  });

  server.refuse("No.");
  await settle();
  expect(line().value).toBe("Buy milk");
  expect(said()).toBe("“Buy milk” was not added. No.");
});

test("tints move with their words until the next answer", async () => {
  server.read = readFriday;
  await openAt("#/");
  await type("Report friday");

  fireEvent.change(line(), { target: { value: "Report friday after all" } });
  await settle();
  expect(tinted()).toEqual(["friday"]);

  await settle(100);
  expect(tinted()).toEqual([]);
});

test("an answer about a line that was typed on does not count", async () => {
  server.read = readFriday;
  await openAt("#/");
  fireEvent.change(line(), { target: { value: "Report friday" } });

  act(() => void vi.advanceTimersByTime(60)); // It is asked about, and not yet answered.
  fireEvent.change(line(), { target: { value: "Report friday afternoons" } });
  await settle();

  expect(tinted()).toEqual([]);
});

test("Escape closes and keeps the line, on every page", async () => {
  await openAt("#/");
  await type("Half a thought");

  fireEvent.keyDown(line(), { key: "Escape" });
  expect(document.activeElement).not.toBe(line());
  act(() => void (window.location.hash = "#/inbox"));
  await settle();

  expect(line().value).toBe("Half a thought");
});

test("several pasted lines are asked about once", async () => {
  await openAt("#/");
  const clipboardData = { getData: () => "- [ ] Milk\n- Eggs\n" };

  fireEvent.paste(line(), { clipboardData });
  fireEvent.click(screen.getByRole("button", { name: "As 2 items" }));
  await settle();

  expect(server.mutations.map(({ args }) => args["line"])).toEqual(["Milk", "Eggs"]);
});

// --- The inbox

const inboxRows = (): (string | null | undefined)[] =>
  within(screen.getByRole("list", { name: "Put down, newest first" }))
    .getAllByRole("listitem")
    .map((row) => row.querySelector("span")?.textContent);

const chosen = (): string | null | undefined =>
  document.querySelector("[data-selected] span")?.textContent;

const openInbox = async (): Promise<void> => {
  server.captures = ["Idea", "Book", "Tiles"].map((text) => makeCapture(text, text));
  await openAt("#/inbox");
};

test("keys walk the inbox and sort it", async () => {
  await openInbox();
  expect(linkTo("Inbox").textContent).toBe("Inbox3");

  fireEvent.keyDown(document.body, { key: "j" });
  fireEvent.keyDown(document.activeElement ?? document.body, { key: "j" });
  expect(chosen()).toBe("Book");
  fireEvent.keyDown(document.activeElement ?? document.body, { key: "2" });
  await settle();

  expect(inboxRows()).toEqual(["Idea", "Tiles"]);
  expect(chosen()).toBe("Tiles");
  expect(document.querySelector("[data-selected]")?.contains(document.activeElement)).toBe(true);
  expect(server.mutations[0]).toMatchObject({
    udfPath: "captures:triage",
    args: { capture: "Book", kind: "note" },
  });
});

test("a reminder without a time is asked when", async () => {
  await openInbox();

  fireEvent.keyDown(document.body, { key: "3" });
  await settle();
  server.refuse("A reminder needs a time.");
  await settle();
  const menu = screen.getByRole("dialog", { name: "When to be reminded of Idea" });
  expect(within(menu).getByText("A reminder needs a time.")).toBeTruthy();
  fireEvent.click(within(menu).getByRole("button", { name: /^Tomorrow morning/u }));
  await settle();

  expect(server.mutations[0]).toMatchObject({
    udfPath: "captures:triage",
    args: { capture: "Idea", kind: "reminder", line: "Idea on 2026-10-29 09:00" },
  });
  expect(inboxRows()).toEqual(["Book", "Tiles"]);
});

test("what is put down is there at once, with one key for one line", async () => {
  await openInbox();
  const field = screen.getByLabelText("Put something down");

  fireEvent.change(field, { target: { value: " A thought " } });
  fireEvent.submit(field);
  await settle();

  expect(inboxRows()[0]).toBe("A thought");
  expect(server.mutations[0]).toMatchObject({
    udfPath: "captures:add",
    args: { line: "A thought", captured_at: NOW, key: expect.stringMatching(/^[0-9a-f]{32}$/u) },
  });
});

test("a link shows the title of its page as soon as that is known", async () => {
  const url = "https://www.example.org/tiles";
  server.captures = [makeCapture("l", `See ${url}`, { url })];
  await openAt("#/inbox");
  expect(inboxRows()).toEqual([`See ${url}`]);

  server.captures = [makeCapture("l", `See ${url}`, { url, page_title: "Tiles of Delft" })];
  act(() => server.commit(server.tasks));
  await settle();

  expect(inboxRows()).toEqual(["See Tiles of Delft example.org"]);
});

// --- Settings

test("a refused setting says why and keeps what was typed", async () => {
  await openAt("#/");
  fireEvent.click(screen.getByRole("button", { name: "Settings" }));

  fireEvent.change(screen.getByLabelText("Time zone"), { target: { value: "Mars/Base" } });
  fireEvent.click(screen.getByRole("button", { name: "Save" }));
  await settle();
  expect(server.mutations[0]?.args).toEqual({ home_zone: "Mars/Base" });
  server.refuse("There is no such zone.");
  await settle();

  expect(screen.getByRole("alert").textContent).toBe("There is no such zone.");
  expect(screen.getByLabelText<HTMLInputElement>("Time zone").value).toBe("Mars/Base");
});

test("single keys can be switched off", async () => {
  await openAt("#/");
  fireEvent.click(screen.getByRole("button", { name: "Settings" }));
  fireEvent.click(screen.getByRole("checkbox", { name: /^Single keys/u }));
  fireEvent.click(screen.getByRole("button", { name: "Save" }));
  await settle();

  fireEvent.keyDown(document.body, { key: "q" });

  expect(document.activeElement).not.toBe(line());
});

test("the first device offers its zone, once", async () => {
  server.settings = { ...server.settings, home_zone: "UTC", home_zone_is_set: false };
  await openAt("#/");

  expect(server.mutations.map(({ udfPath }) => udfPath)).toEqual(["people:offer_zone"]);
});

// --- Reminders

test.each([null, "soon" as TaskId])(
  "a reminder that is canceled is brought back by its id, also one of task %s",
  async (task) => {
    const reminder = makeReminder("tea", "Tea", { task });
    server.reminders = [reminder];
    await openAt("#/reminders");
    expect(rowsIn("Waiting")[0]).toMatch(/^TeaFri(day)? 09:00/u);

    fireEvent.click(screen.getByRole("button", { name: "Cancel Tea" }));
    await settle();
    expect(server.mutations[0]).toMatchObject({
      udfPath: "reminders:cancel",
      args: { reminder: "tea" },
    });
    server.reminders = [];
    server.accept(server.tasks);
    await settle();
    expect(said()).toBe("“Tea” will not ring.");

    fireEvent.click(screen.getByRole("button", { name: "Undo" }));
    await settle();
    expect(server.mutations[0]).toMatchObject({
      udfPath: "reminders:restore",
      args: { reminder: "tea" },
    });
    server.reminders = [reminder];
    server.accept(server.tasks);
    await settle();

    expect(rowsIn("Waiting")[0]).toMatch(/^TeaFri(day)? 09:00/u);
    expect(said()).toBe("“Tea” is back.");
  },
);

test("a reminder that cannot be brought back says why", async () => {
  server.reminders = [makeReminder("tea", "Tea")];
  await openAt("#/reminders");
  fireEvent.click(screen.getByRole("button", { name: "Cancel Tea" }));
  await settle();
  server.accept(server.tasks);
  await settle();

  fireEvent.click(screen.getByRole("button", { name: "Undo" }));
  await settle();
  server.refuse("This reminder is gone.");
  await settle();

  expect(said()).toBe("“Tea” was not restored. This reminder is gone.");
});
