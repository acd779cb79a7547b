/** The page: where to go at the side, the quick-add line on top, and what the address names. */
import { useQuery } from "convex/react";
import { useCallback, useEffect, useState } from "react";

import { BoardView } from "../features/board/board-view";
import { NewBoard } from "../features/boards/board-list";
import { ConnectionLine } from "../features/connection/connection-line";
import { InboxPage } from "../features/inbox/inbox-page";
import { NotesPage } from "../features/notes/notes-page";
import { QuickAddBar } from "../features/quick-add/quick-add-bar";
import { RemindersPage } from "../features/reminders/reminders-page";
import { RingToasts } from "../features/reminders/ring-toasts";
import { SearchButton } from "../features/search/search-button";
import { SearchDialog } from "../features/search/search-dialog";
import { SettingsDialog } from "../features/settings/settings-dialog";
import { TodayPage } from "../features/today/today-page";
import { api } from "../sync/api";
import type { Board, BoardId, NoteId, QuickAdded, TaskId } from "../sync/api";
import { useCounts } from "../sync/counts";
import { refusalText } from "../sync/refusal";
import { ErrorBoundary } from "../ui/error-boundary";
import { FlowMark } from "../ui/icons";
import { NoticesProvider } from "../ui/notices";
import { Page } from "../ui/page";
import styles from "./app.module.css";
import { BottomBar } from "./bottom-bar";
import { HomeDayProvider } from "./home-day";
import { forgetTask, goTo, LINKS, linkToBoard, linkToNote, useRoute } from "./route";
import type { Route } from "./route";
import { SideBar } from "./side-bar";

export const App = () => (
  <NoticesProvider>
    <div className={styles.page}>
      <ErrorBoundary fallback={failure}>
        <HomeDayProvider>
          <Shell />
        </HomeDayProvider>
      </ErrorBoundary>
    </div>
  </NoticesProvider>
);

const failure = (error: unknown, retry: () => void) => (
  <div className={styles.middle} role="alert">
    <h1>This did not load</h1>
    <p>{refusalText(error)}</p>
    <button type="button" className="button" onClick={retry}>
      Try again
    </button>
  </div>
);

const Shell = () => {
  const boards = useQuery(api.boards.list, {});
  const counts = useCounts();
  const route = useRoute();
  const [settingsOpen, setSettingsOpen] = useState(false);
  const [searchOpen, setSearchOpen] = useState(false);
  const openSearch = useCallback(() => setSearchOpen(true), []);

  if (boards === undefined) {
    return (
      <main className={styles.main} aria-busy="true">
        <ConnectionLine />
      </main>
    );
  }
  const board = boardOf(route, boards);
  return (
    <>
      <SideBar
        route={route}
        boards={boards}
        current={board?._id}
        counts={counts}
        onSettings={() => setSettingsOpen(true)}
      />
      <main className={styles.main}>
        <ConnectionLine />
        <QuickAddBar board={board} onOpen={goToAdded}>
          <SearchButton onOpen={openSearch} />
        </QuickAddBar>
        {/* A page that failed must not keep the next one from being shown. */}
        <ErrorBoundary key={`${route.page}:${board?._id}`} fallback={failure}>
          <RoutedPage route={route} boards={boards} board={board} />
        </ErrorBoundary>
      </main>
      <BottomBar route={route} counts={counts} />
      <ErrorBoundary fallback={() => null}>
        <RingToasts remindersLink={LINKS.reminders} linkTo={linkToBoard} />
      </ErrorBoundary>
      {searchOpen && (
        <ErrorBoundary fallback={() => null}>
          <SearchDialog
            boards={boards}
            linkToTask={linkToBoard}
            linkToNote={linkToNote}
            onGo={goTo}
            onClose={() => setSearchOpen(false)}
          />
        </ErrorBoundary>
      )}
      {settingsOpen && <SettingsDialog onClose={() => setSettingsOpen(false)} />}
    </>
  );
};

const goToAdded = ({ kind, id, board }: QuickAdded): void => {
  switch (kind) {
    case "task":
      goTo(board === null ? LINKS.board : linkToBoard(board, id as TaskId));
      break;
    case "note":
      goTo(linkToNote(id as NoteId));
      break;
    case "reminder":
      goTo(LINKS.reminders);
      break;
    default:
      kind satisfies never;
  }
};

/** A board made a moment ago may be named before its list has it: no reason to show another. */
const boardOf = (route: Route, boards: readonly Board[]): Board | undefined => {
  if (route.page !== "board") {
    return undefined;
  }
  return route.board === undefined ? boards[0] : boards.find(({ _id }) => _id === route.board);
};

type RoutedPageProps = { route: Route; boards: readonly Board[]; board: Board | undefined };

const RoutedPage = ({ route, boards, board }: RoutedPageProps) => {
  useTitle(board?.title ?? TITLES[route.page]);
  switch (route.page) {
    case "today":
      return boards.length === 0 ? <Welcome /> : <TodayPage boards={boards} linkTo={linkToBoard} />;
    case "inbox":
      return <InboxPage links={ITEM_LINKS} />;
    case "notes":
      return <NotesPage note={route.note} listLink={LINKS.notes} linkTo={linkToNote} onGo={goTo} />;
    case "reminders":
      return <RemindersPage />;
    case "board":
      return boards.length === 0 ? <Welcome /> : <BoardPage board={board} task={route.task} />;
    default:
      return route satisfies never;
  }
};

const ITEM_LINKS = { board: linkToBoard, note: linkToNote, reminders: LINKS.reminders };

const TITLES = {
  today: "Today",
  inbox: "Inbox",
  notes: "Notes",
  reminders: "Reminders",
  board: "Boards",
} as const satisfies Record<Route["page"], string>;

const useTitle = (title: string): void =>
  useEffect(() => {
    document.title = `${title} · Flow`;
  }, [title]);

type BoardPageProps = { board: Board | undefined; task: TaskId | undefined };

const BoardPage = ({ board, task }: BoardPageProps) =>
  board === undefined ? (
    <Page title="No such board">
      <p>This board is not there, or not there any more. Choose another one.</p>
    </Page>
  ) : (
    <>
      <header className={styles.header}>
        <h1>{board.title}</h1>
      </header>
      <BoardView key={board._id} board={board} sought={task} onSeen={forgetTask} />
    </>
  );

const goToBoard = (board: BoardId): void => goTo(linkToBoard(board));

const Welcome = () => (
  <div className={styles.middle}>
    <FlowMark />
    <h1>Name your first board</h1>
    <p>It starts with three columns: To do, Doing and Done. Everyone who opens it sees it live.</p>
    <NewBoard onCreated={goToBoard} />
  </div>
);
