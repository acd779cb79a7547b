// The board as one writes it by hand in Node: ws, better-sqlite3, and the whole board to everyone.
//
// node board.js <folder> [fold]: with "fold", what came in one turn of the loop is one transaction and one broadcast.

import { randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { join } from "node:path";

import Database from "better-sqlite3";
import { WebSocketServer } from "ws";

const [folder, mode] = process.argv.slice(2);
const db = new Database(join(folder, "board.db"));
db.pragma("journal_mode = WAL");
db.pragma("synchronous = FULL");
db.exec(`
  CREATE TABLE tasks (_id TEXT PRIMARY KEY, _creationTime REAL, board TEXT, body TEXT, "column" TEXT,
    completedAt REAL, labels TEXT, rank REAL, title TEXT);
  CREATE INDEX by_place ON tasks (board, "column", rank);
  CREATE TABLE accounts (number INTEGER PRIMARY KEY, balance INTEGER);
`);

const insertTask = db.prepare(
  `INSERT INTO tasks VALUES (@_id, @_creationTime, @board, @body, @column, NULL, '[]', @rank, @title)`,
);
const listTasks = db.prepare(`SELECT * FROM tasks WHERE board = ? ORDER BY "column", rank`);
const getTask = db.prepare(`SELECT board, rank FROM tasks WHERE _id = ?`);
const rankBefore = db
  .prepare(`SELECT max(rank) FROM tasks WHERE board = ? AND "column" = ? AND rank < ?`)
  .pluck();
const lastRank = db.prepare(`SELECT max(rank) FROM tasks WHERE board = ? AND "column" = ?`).pluck();
const placeTask = db.prepare(`UPDATE tasks SET "column" = ?, rank = ? WHERE _id = ?`);
const columnIds = db
  .prepare(`SELECT _id FROM tasks WHERE board = ? AND "column" = ? ORDER BY rank`)
  .pluck();
const setRank = db.prepare(`UPDATE tasks SET rank = ? WHERE _id = ?`);
const openAccount = db.prepare(`INSERT INTO accounts VALUES (?, ?)`);
const getBalance = db.prepare(`SELECT balance FROM accounts WHERE number = ?`).pluck();
const setBalance = db.prepare(`UPDATE accounts SET balance = ? WHERE number = ?`);
const sumBalances = db.prepare(`SELECT sum(balance) FROM accounts`).pluck();

let version = 0;
const watchers = new Map(); // Sockets by board.

function fill({ bodies }) {
  const board = randomBytes(16).toString("hex");
  const columns = { "to-do": [], doing: [], done: [] };
  const names = Object.keys(columns);
  bodies.forEach((body, number) => {
    const _id = randomBytes(16).toString("hex");
    const column = names[number % names.length];
    const title = `Task ${String(number).padStart(5, "0")}`;
    insertTask.run({ _id, _creationTime: Date.now(), board, body, column, rank: number, title });
    columns[column].push(_id);
  });
  return { board, columns };
}

function move({ task, column, before }) {
  const moved = getTask.get(task);
  if (!moved) throw new Error("this task is gone");
  const next = before && getTask.get(before);
  let rank;
  if (next) {
    const low = rankBefore.get(moved.board, column, next.rank) ?? next.rank - 2;
    rank = (low + next.rank) / 2;
    if (next.rank - low < 1e-9) {
      columnIds.all(moved.board, column).forEach((id, place) => setRank.run(place * 2, id));
      rank = getTask.get(before).rank - 1;
    }
  } else {
    rank = (lastRank.get(moved.board, column) ?? 0) + 1;
  }
  placeTask.run(column, rank, task);
  return moved.board;
}

function transfer({ source, target, amount }) {
  const [payer, payee] = [getBalance.get(source), getBalance.get(target)];
  if (payer === undefined || payee === undefined) throw new Error("there is no such account");
  setBalance.run(payer - amount, source);
  setBalance.run(payee + amount, target);
}

function board(name) {
  const tasks = listTasks.all(name).map((task) => ({ ...task, labels: JSON.parse(task.labels) }));
  return Buffer.from(JSON.stringify({ v: version, tasks }));
}

function broadcast(boards) {
  for (const name of new Set(boards)) {
    const sockets = watchers.get(name);
    if (!sockets?.size) continue;
    const data = board(name);
    for (const socket of sockets) socket.send(data, { binary: false });
  }
}

// One at a time, or all that came in one turn of the loop.

let waiting = [];

function change(run, answer) {
  waiting.push({ run, answer });
  if (mode !== "fold") commit();
  else if (waiting.length === 1) setImmediate(commit);
}

function commit() {
  const batch = waiting;
  waiting = [];
  version += 1;
  const results = db.transaction(() => batch.map(({ run }) => run()))();
  batch.forEach(({ answer }, place) => answer(results[place]));
  broadcast(results.filter((result) => typeof result === "string"));
}

const posts = {
  "/fill": fill,
  "/accounts": ({ count, balance }) => {
    for (let number = 0; number < count; number += 1) openAccount.run(number, balance);
    return {};
  },
  "/total": () => ({ total: sumBalances.get() }),
  "/transfer": transfer,
};

const server = createServer((request, response) => {
  const pieces = [];
  request.on("data", (piece) => pieces.push(piece));
  request.on("end", () => {
    const body = JSON.parse(Buffer.concat(pieces));
    change(
      () => posts[request.url](body),
      (value) => {
        const text = JSON.stringify({ status: "success", value: value ?? null });
        response.writeHead(200, { "Content-Type": "application/json", "Content-Length": text.length });
        response.end(text);
      },
    );
  });
});

new WebSocketServer({ server }).on("connection", (socket) => {
  socket.on("message", (data) => {
    const message = JSON.parse(data);
    if (message.watch) {
      if (!watchers.has(message.watch)) watchers.set(message.watch, new Set());
      watchers.get(message.watch).add(socket);
      socket.on("close", () => watchers.get(message.watch).delete(socket));
      socket.send(board(message.watch), { binary: false });
    } else {
      change(
        () => move(message.move),
        () => socket.send(`{"id":${message.id},"v":${version}}`),
      );
    }
  });
});

server.keepAliveTimeout = 60_000;
server.listen(0, "127.0.0.1", () => {
  console.log(`Node is ready at http://127.0.0.1:${server.address().port}`);
});
process.on("SIGTERM", () => process.exit(0));
