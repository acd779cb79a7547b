// ConvexReactClient under React and a DOM: what is on the screen after every commit of React's.
import { pathToFileURL } from "node:url";

import { ConvexClient, fn, recorded, report, require, run, settled, until } from "./harness.mjs";

const { Window } = await import(pathToFileURL(require.resolve("happy-dom")).href);
const page = new Window({ url: "http://localhost/" });
// One by one: newer versions of Node have a navigator that cannot be assigned.
for (const [name, value] of Object.entries({
  window: page,
  document: page.document,
  navigator: page.navigator,
})) {
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
}

const { createElement, useLayoutEffect } = require("react");
const { createRoot } = require("react-dom/client");
const { ConvexProvider, ConvexReactClient, useMutation, usePaginatedQuery, useQuery } =
  require("convex/react");

/** Show a component; give what it is handed back through `handle`. */
const shown = async (url, Component) => {
  const { messages, webSocketConstructor } = recorded();
  const client = new ConvexReactClient(url, { webSocketConstructor });
  const element = document.createElement("div");
  document.body.append(element);
  const handle = {};
  const states = [];
  const record = (state) => states.push(state);
  createRoot(element).render(
    createElement(ConvexProvider, { client }, createElement(Component, { handle, record })),
  );
  return { client, handle, states, messages, element };
};

const LIST = fn("tasks:list");

const updateList = (store, board, change) => {
  const tasks = store.getQuery(LIST, { board });
  if (tasks !== undefined) {
    store.setQuery(LIST, { board }, change(tasks));
  }
};

/** A board of which each commit is read back from the DOM: rows of id, title and column. */
const boardOf =
  (board) =>
  ({ handle, record }) => {
    const tasks = useQuery(LIST, { board });
    handle.tasks = tasks;
    handle.move = useMutation(fn("tasks:move")).withOptimisticUpdate((store, { task, column }) =>
      updateList(store, board, (all) =>
        all.map((each) => (each._id === task ? { ...each, column } : each)),
      ),
    );
    handle.add = useMutation(fn("tasks:add")).withOptimisticUpdate((store, { title, column }) =>
      updateList(store, board, (all) => [...all, { _id: `guess ${title}`, title, column }]),
    );
    useLayoutEffect(() => {
      const rows = [...document.querySelectorAll("li")].map(({ textContent }) => textContent);
      record(rows.map((text) => text.split("|")));
    });
    return createElement(
      "ul",
      null,
      (tasks ?? []).map(({ _id, title, column }) =>
        createElement("li", { key: _id }, [_id, title, column].join("|")),
      ),
    );
  };

const newBoard = async (url, titles) => {
  const other = new ConvexClient(url, { unsavedChangesWarning: false });
  const board = await other.mutation(fn("boards:create"), { title: "React" });
  const tasks = [];
  for (const title of titles) {
    tasks.push(await other.mutation(fn("tasks:add"), { board, title }));
  }
  return { other, board, tasks };
};

/** The server's answers and transitions in the order of their arrival, with their timestamps. */
const order = (messages) => {
  const number = (ts) => String(Buffer.from(ts, "base64").readBigUInt64LE());
  return messages.flatMap(({ way, type, ts, endVersion }) => {
    if (way !== "in" || !["MutationResponse", "Transition"].includes(type)) {
      return [];
    }
    return [[type, number(ts ?? endVersion.ts)]];
  });
};

/** Move every task twice and add some, while another client edits them all the time. */
const optimistic = async ({ url, titles, added }) => {
  const { other, board, tasks } = await newBoard(url, titles);
  const { handle, states, messages } = await shown(url, boardOf(board));
  await until(() => handle.tasks?.length === titles.length);

  let editing = true;
  const edits = (async () => {
    for (let turn = 0; editing; turn += 1) {
      const task = tasks[turn % tasks.length];
      await other.mutation(fn("tasks:edit"), { task, body: `turn ${turn}` });
    }
  })();
  const calls = [];
  for (const [place, task] of tasks.entries()) {
    calls.push(handle.move({ task, column: "doing" }));
    if (place < added.length) {
      calls.push(handle.add({ board, title: added[place], column: "done" }));
    }
    await new Promise((done) => setTimeout(done, 3 * place));
    calls.push(handle.move({ task, column: "done" }));
  }
  await Promise.all(calls);
  editing = false;
  await edits;
  // The promises resolve before React has drawn what they tell of.
  await until(() => states.at(-1).every(([, , column]) => column === "done"));
  report({ states, order: order(messages) });
};

/** Two good moves around one that the server refuses. */
const refused = async ({ url, titles }) => {
  const { board, tasks } = await newBoard(url, titles);
  const { handle, states } = await shown(url, boardOf(board));
  await until(() => handle.tasks?.length === titles.length);

  const outcomes = await Promise.all([
    settled(handle.move({ task: tasks[0], column: "doing" })),
    settled(handle.move({ task: tasks[1], column: "nowhere" })),
    settled(handle.move({ task: tasks[2], column: "done" })),
  ]);
  const last = () => states.at(-1).map(([, , column]) => column);
  await until(
    () => !last().includes("nowhere") && last().includes("doing") && last().includes("done"),
  );
  report({ states, outcomes });
};

/** A list in pages beside the whole list, in one component: every commit shows both. */
const pagesOf =
  (list, initialNumItems) =>
  ({ handle, record }) => {
    const all = useQuery(fn("items:all"), { list });
    const { results, status, loadMore } = usePaginatedQuery(
      fn("items:page"),
      { list },
      { initialNumItems },
    );
    Object.assign(handle, { all, results, status, loadMore });
    useLayoutEffect(() => {
      record({
        all: all?.map(({ place }) => place) ?? null,
        paged: results.map(({ place }) => place),
        status,
      });
    });
    return null;
  };

const splitAsked = (messages) =>
  messages.some(
    ({ way, modifications }) =>
      way === "out" &&
      modifications?.some(({ args }) => typeof args?.[0].paginationOpts?.endCursor === "string"),
  );

const pages = async ({ url, list }) => {
  const other = new ConvexClient(url, { unsavedChangesWarning: false });
  const add = (...places) => other.mutation(fn("items:add"), { list, places });
  const remove = (...places) => other.mutation(fn("items:remove"), { list, places });
  await add(...Array.from({ length: 30 }, (_, place) => place * 10));

  const { handle, states, messages } = await shown(url, pagesOf(list, 5));
  const loaded = (count) => until(() => handle.results?.length === count);
  await loaded(5);
  handle.loadMore(5);
  await loaded(10);
  handle.loadMore(5);
  await loaded(15);
  // Into the first page, the second one, and right at the seams of two pages.
  await add(1);
  await add(55);
  await add(41, 49);
  await add(91, 99);
  await remove(40, 50);
  await loaded(19);
  const splitTooEarly = splitAsked(messages);
  // The first page grows to more than twice of what it was.
  for (let place = 2; place < 10; place += 1) {
    await add(place);
  }
  await until(() => splitAsked(messages));
  await loaded(27);
  // Rows come and go inside of both halves.
  await add(2.5, 8.5, -5);
  await remove(3, 4);
  await loaded(28);
  handle.loadMore(100);
  await until(() => handle.status === "Exhausted");
  await add(1000);
  await until(() => handle.results.at(-1).place === 1000);
  report({ states, splitTooEarly });
};

await run({ optimistic, refused, pages });
