/** A note as its author meant it: the server's HTML, which holds nothing but text and its marks. */
import { useLayoutEffect, useRef } from "react";
import type { ReactNode } from "react";

import { markConflicts } from "./conflicts";
import styles from "./note-view.module.css";
import text from "./note-text.module.css";

type NoteReaderProps = { title: string; html: string; isEmpty: boolean; children: ReactNode };

export const NoteReader = ({ title, html, isEmpty, children }: NoteReaderProps) => {
  const ref = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    if (ref.current !== null) {
      markConflicts(ref.current);
    }
  });

  return (
    // A long note has to be scrolled by keys as well.
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex
    <div className={styles.scroller} tabIndex={0} role="region" aria-label="The note">
      <div className={styles.sheet}>
        <h1 className={styles.title}>{title}</h1>
        {children}
        {isEmpty ? (
          <p className={styles.blank}>Nothing is written here yet.</p>
        ) : (
          // The server renders it and cleans it, for every client alike.
          // oxlint-disable-next-line react/no-danger
          <div ref={ref} className={text.text} dangerouslySetInnerHTML={{ __html: html }} />
        )}
      </div>
    </div>
  );
};
