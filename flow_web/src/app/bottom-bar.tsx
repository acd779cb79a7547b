/** The pages within reach of a thumb, on a phone; boards open as a sheet. */
import type { Counts } from "../sync/counts";
import { ColumnsIcon } from "../ui/icons";
import styles from "./bottom-bar.module.css";
import { PAGES } from "./pages";
import { LINKS } from "./route";
import type { Route } from "./route";
import { SHEET_ID } from "./side-bar";

const COUNT_MAX = 99;

export const BottomBar = ({ route, counts }: { route: Route; counts: Counts }) => (
  <nav className={styles.bar} aria-label="Pages, in short">
    {PAGES.map(({ page, title, icon }) => {
      const count = page === "notes" ? 0 : counts[page];
      return (
        <a
          key={page}
          href={LINKS[page]}
          className={styles.tab}
          aria-current={route.page === page ? "page" : undefined}
        >
          {icon}
          <span>{title}</span>
          {count > 0 && (
            <span className={styles.count}>{count > COUNT_MAX ? `${COUNT_MAX}+` : count}</span>
          )}
        </a>
      );
    })}
    <button
      type="button"
      className={styles.tab}
      popoverTarget={SHEET_ID}
      data-current={route.page === "board" || undefined}
    >
      <ColumnsIcon />
      <span>Boards</span>
    </button>
  </nav>
);
