/** Opens the search: a button beside the quick-add line, `/` and Ctrl or Command with K. */
import { useEffect } from "react";

import { SearchIcon } from "../../ui/icons";
import { usePageKeys } from "../../ui/shortcut";
import styles from "./search-button.module.css";

export const SearchButton = ({ onOpen }: { onOpen: () => void }) => {
  usePageKeys((key) => {
    if (key === "/") {
      onOpen();
    }
    return key === "/";
  });
  useEffect(() => {
    const listen = (event: KeyboardEvent) => {
      const asked = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k";
      if (asked && !event.defaultPrevented && document.querySelector("dialog[open]") === null) {
        event.preventDefault();
        onOpen();
      }
    };
    document.addEventListener("keydown", listen);
    return () => document.removeEventListener("keydown", listen);
  }, [onOpen]);
  return (
    <button
      type="button"
      className={styles.button}
      aria-label="Search tasks and notes"
      aria-keyshortcuts="/ Control+K Meta+K"
      aria-haspopup="dialog"
      title="Search (/)"
      onClick={onOpen}
    >
      <SearchIcon />
      <kbd>/</kbd>
    </button>
  );
};
