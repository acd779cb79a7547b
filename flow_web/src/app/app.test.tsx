import { act, fireEvent, render, screen, within } from "@testing-library/react";
import { ConvexProvider } from "convex/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import type { Task } from "../sync/api";
import { FakeServer, makeBoard, makeTask } from "../sync/fake-server";
import { App } from "./app";

const felt = makeTask("a", "todo", "a0", { title: "Order felt" });
const slabs = makeTask("b", "todo", "a1", { title: "Lay slabs" });
const plan = makeTask("c", "doing", "a0", { title: "Draw plan" });
const TASKS: Task[] = [felt, slabs, plan];

let server: FakeServer;

beforeEach(() => {
  vi.useFakeTimers();
  window.location.hash = "#/board/b1";
});

afterEach(() => {
  void server.client.close();
  vi.useRealTimers();
  window.location.hash = "";
});

/** Let promises settle, and time pass where a test is about time. */
const settle = (milliseconds = 0): Promise<unknown> =>
  act(() => vi.advanceTimersByTimeAsync(milliseconds));

const openApp = async (started: FakeServer): Promise<void> => {
  server = started;
  render(
    <ConvexProvider client={server.client}>
      <App />
    </ConvexProvider>,
  );
  await settle();
};

const titlesIn = (column: string): (string | null)[] =>
  within(screen.getByRole("region", { name: column }))
    .queryAllByRole("listitem")
    .map((card) => card.querySelector("[data-card-focus]")?.textContent ?? null);

const titleOf = (task: Task): HTMLElement => screen.getByRole("button", { name: task.title });

const said = (): string => document.querySelector("[data-live-region]")?.textContent ?? "";

test("a board shows its columns, and the cards in their order", async () => {
  await openApp(new FakeServer([makeBoard()], TASKS));

  expect(titlesIn("To do")).toEqual(["Order felt", "Lay slabs"]);
  expect(titlesIn("Doing")).toEqual(["Draw plan"]);
  expect(titlesIn("Done")).toEqual([]);
});

test("Shift and an arrow move the card before the server answers, and say so", async () => {
  await openApp(new FakeServer([makeBoard()], TASKS));

  titleOf(felt).focus();
  fireEvent.keyDown(titleOf(felt), { key: "ArrowRight", shiftKey: true });
  await settle();

  expect(titlesIn("Doing")).toEqual(["Order felt", "Draw plan"]);
  expect(said()).toBe("Order felt moved to Doing, 1 of 2");
  expect(document.activeElement).toBe(titleOf(felt));
  expect(server.mutations[0]).toMatchObject({
    udfPath: "tasks:move",
    args: { task: "a", column: "doing", before: "c" },
  });
});

test("a refused move goes back, with the server's reason", async () => {
  await openApp(new FakeServer([makeBoard()], TASKS));

  fireEvent.keyDown(titleOf(felt), { key: "ArrowRight", shiftKey: true });
  await settle();
  server.refuse("Doing is full.");
  await settle();

  expect(titlesIn("To do")).toEqual(["Order felt", "Lay slabs"]);
  expect(said()).toBe("“Order felt” went back to To do. Doing is full.");
});

test("a new card is there at once, and once when the server has it", async () => {
  await openApp(new FakeServer([makeBoard()], TASKS));

  fireEvent.click(screen.getByRole("button", { name: "Add a card to Doing" }));
  const field = screen.getByLabelText("Title of the new card in Doing");
  fireEvent.change(field, { target: { value: " Buy sand " } });
  fireEvent.submit(field);
  await settle();

  expect(titlesIn("Doing")).toEqual(["Draw plan", "Buy sand"]);
  expect(server.mutations[0]?.args).toEqual({ board: "b1", title: "Buy sand", column: "doing" });

  server.accept([...TASKS, makeTask("d", "doing", "a1", { title: "Buy sand" })]);
  await settle();

  expect(titlesIn("Doing")).toEqual(["Draw plan", "Buy sand"]);
  expect(document.querySelector("[data-changed]")).toBeNull();
});

test("a card is given a date from its menu, and keeps the zone of its time", async () => {
  const far = { ...felt, due_date: "2026-10-28", due_time: "09:00", zone: "Australia/Sydney" };
  await openApp(new FakeServer([makeBoard()], [far]));

  fireEvent.click(screen.getByRole("button", { name: "Move to…, and more: Order felt" }));
  fireEvent.click(screen.getByRole("menuitem", { name: "Due date…" }));
  fireEvent.click(screen.getByRole("button", { name: /^No date/u }));
  await settle();
  expect(document.querySelector("[data-due]")).toBeNull();

  fireEvent.click(screen.getByRole("button", { name: "Move to…, and more: Order felt" }));
  fireEvent.click(screen.getByRole("menuitem", { name: "Due date…" }));
  fireEvent.change(screen.getByLabelText("Date"), { target: { value: "2026-10-30" } });
  fireEvent.change(screen.getByLabelText("Time"), { target: { value: "17:00" } });
  fireEvent.submit(screen.getByLabelText("Time"));
  await settle();

  expect(server.mutations.map(({ args }) => args)).toEqual([
    { task: "a", due_date: null, due_time: null },
    { task: "a", due_date: "2026-10-30", due_time: "17:00", zone: "Australia/Sydney" },
  ]);
});

test("what others change is marked and counted", async () => {
  await openApp(new FakeServer([makeBoard()], TASKS));

  act(() => server.commit([felt, { ...slabs, column: "done" }, plan]));
  await settle();

  expect(titlesIn("Done")).toEqual(["Lay slabs"]);
  expect(document.querySelectorAll("[data-changed]")).toHaveLength(1);
  expect(said()).toBe("1 card changed by others");
});

test("one changed card renders no other card", async () => {
  await openApp(new FakeServer([makeBoard()], TASKS));
  const untouched = titleOf(felt).firstChild;
  const changes = new MutationObserver(() => {});
  const card = titleOf(felt).closest("li") as Element;
  changes.observe(card, { subtree: true, childList: true, attributes: true });

  act(() => server.commit([felt, slabs, { ...plan, title: "Draw the plan" }]));
  await settle();

  expect(titlesIn("Doing")).toEqual(["Draw the plan"]);
  expect(changes.takeRecords()).toEqual([]);
  expect(titleOf(felt).firstChild).toBe(untouched);
});

test("the focus goes to the next card when someone removes the focused one", async () => {
  await openApp(new FakeServer([makeBoard()], TASKS));

  titleOf(felt).focus();
  act(() => server.commit([slabs, plan]));
  await settle();

  expect(document.activeElement).toBe(titleOf(slabs));
});

test("without boards, the page asks for the first one", async () => {
  await openApp(new FakeServer([], []));

  expect(screen.getByRole("heading", { name: "Name your first board" })).toBeTruthy();
});

test("a link to a board that is gone says so, and offers the others", async () => {
  window.location.hash = "#/boards/gone";
  await openApp(new FakeServer([makeBoard()], TASKS));

  expect(screen.getByRole("heading", { name: "No such board" })).toBeTruthy();
  expect(document.querySelector("[data-board-id=b1]")?.textContent).toBe("Garden");
});

test("a missing connection is told after three seconds, not at once", async () => {
  await openApp(new FakeServer([], [], false));

  await settle(2_900);
  expect(screen.queryByText(/Cannot reach the server/)).toBeNull();
  await settle(200);

  expect(screen.getByText(/Cannot reach the server/)).toBeTruthy();
});
