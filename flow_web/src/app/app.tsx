/** The page: boards at the side, one board in the middle. */
import { useQuery } from "convex/react";

import { BoardView } from "../features/board/board-view";
import { BoardList, NewBoard } from "../features/boards/board-list";
import { ConnectionLine } from "../features/connection/connection-line";
import { api } from "../sync/api";
import type { Board } from "../sync/api";
import { refusalText } from "../sync/refusal";
import { ErrorBoundary } from "../ui/error-boundary";
import { BoardsIcon, FlowMark } from "../ui/icons";
import { NoticesProvider } from "../ui/notices";
import styles from "./app.module.css";
import { goToBoard, linkToBoard, useRoutedBoard } from "./board-route";

const BOARDS_ID = "boards";

export const App = () => (
  <NoticesProvider>
    <div className={styles.page}>
      <ErrorBoundary fallback={failure}>
        <Boards />
      </ErrorBoundary>
    </div>
  </NoticesProvider>
);

const failure = (error: unknown, retry: () => void) => (
  <main className={styles.middle} role="alert">
    <h1>This did not load</h1>
    <p>{refusalText(error)}</p>
    <button type="button" className="button" onClick={retry}>
      Try again
    </button>
  </main>
);

const Boards = () => {
  const boards = useQuery(api.boards.list, {});
  const wanted = useRoutedBoard();

  if (boards === undefined) {
    return (
      <main className={styles.main} aria-busy="true">
        <ConnectionLine />
      </main>
    );
  }
  // A board made a moment ago may be named before its list has it: no reason to show another.
  const board = wanted === undefined ? boards[0] : boards.find(({ _id }) => _id === wanted);
  if (boards.length === 0) {
    return <Welcome />;
  }
  return (
    <>
      <BoardList
        id={BOARDS_ID}
        boards={boards}
        current={board?._id}
        linkTo={linkToBoard}
        onCreated={goToBoard}
      />
      <main className={styles.main}>
        <ConnectionLine />
        <BoardHeader title={board?.title ?? "No such board"} />
        {board === undefined ? (
          <div className={styles.middle}>
            <p>This board is not there, or not there any more. Choose another one.</p>
          </div>
        ) : (
          <BoardPart key={board._id} board={board} />
        )}
      </main>
    </>
  );
};

const BoardHeader = ({ title }: { title: string }) => (
  <header className={styles.header}>
    <button
      type="button"
      className={`icon-button ${styles.boards}`}
      popoverTarget={BOARDS_ID}
      aria-label="Boards"
    >
      <BoardsIcon />
    </button>
    <h1>{title}</h1>
  </header>
);

const BoardPart = ({ board }: { board: Board }) => (
  <ErrorBoundary fallback={failure}>
    <BoardView board={board} />
  </ErrorBoundary>
);

const Welcome = () => (
  <main className={styles.main}>
    <ConnectionLine />
    <div className={styles.middle}>
      <FlowMark />
      <h1>Name your first board</h1>
      <p>
        It starts with three columns: To do, Doing and Done. Everyone who opens it sees it live.
      </p>
      <NewBoard onCreated={goToBoard} />
    </div>
  </main>
);
