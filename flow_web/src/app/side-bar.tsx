/** The pages and the boards: a side bar on a wide window, a sheet behind a button on a phone. */
import { useRef } from "react";

import { BoardList, NewBoard } from "../features/boards/board-list";
import type { Board, BoardId } from "../sync/api";
import type { Counts } from "../sync/counts";
import { FlowMark, SettingsIcon } from "../ui/icons";
import { PAGES } from "./pages";
import { goTo, LINKS, linkToBoard } from "./route";
import type { Route } from "./route";
import styles from "./side-bar.module.css";

export const SHEET_ID = "boards";

type SideBarProps = {
  route: Route;
  boards: readonly Board[];
  /** The board that is shown, if one is. */
  current: BoardId | undefined;
  counts: Counts;
  onSettings: () => void;
};

export const SideBar = ({ route, boards, current, counts, onSettings }: SideBarProps) => {
  const sheet = useRef<HTMLElement>(null);
  const close = () => sheet.current?.hidePopover();

  return (
    <nav ref={sheet} id={SHEET_ID} popover="auto" className={styles.sheet} aria-label="Pages">
      <div className={styles.brand}>
        <FlowMark /> Flow
      </div>
      <ul className={styles.pages}>
        {PAGES.map(({ page, title, icon }) => (
          <li key={page}>
            <a
              href={LINKS[page]}
              className={styles.link}
              aria-current={route.page === page ? "page" : undefined}
              onClick={close}
            >
              {icon}
              <span className={styles.name}>{title}</span>
              <Count page={page} counts={counts} />
            </a>
          </li>
        ))}
      </ul>
      <h2 className={styles.heading}>Boards</h2>
      <BoardList boards={boards} current={current} linkTo={linkToBoard} onFollow={close} />
      <NewBoard
        onCreated={(board) => {
          close();
          goTo(linkToBoard(board));
        }}
      />
      <button
        type="button"
        className={`${styles.link} ${styles.settings}`}
        onClick={() => {
          close();
          onSettings();
        }}
      >
        <SettingsIcon />
        <span className={styles.name}>Settings</span>
      </button>
    </nav>
  );
};

type CountProps = { page: (typeof PAGES)[number]["page"]; counts: Counts };

const Count = ({ page, counts }: CountProps) => {
  const count = page === "notes" ? 0 : counts[page];
  return count === 0 ? null : <span className={styles.count}>{count}</span>;
};
