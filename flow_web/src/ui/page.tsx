/** A page of lists: its heading, its sections, and what it says when there is nothing. */
import { useId } from "react";
import type { ReactNode } from "react";

import styles from "./page.module.css";

type PageProps = { title: string; aside?: ReactNode; children: ReactNode };

export const Page = ({ title, aside, children }: PageProps) => (
  <div className={styles.scroller}>
    <div className={styles.page}>
      <header className={styles.header}>
        <h1>{title}</h1>
        {aside !== undefined && <p className={styles.aside}>{aside}</p>}
      </header>
      {children}
    </div>
  </div>
);

type SectionProps = { title: string; tone?: "danger"; count?: number; children: ReactNode };

export const Section = ({ title, tone, count, children }: SectionProps) => {
  const titleId = useId();
  return (
    <section className={styles.section} aria-labelledby={titleId}>
      <h2 className={styles.sectionTitle} data-tone={tone}>
        <span id={titleId}>{title}</span>
        {count !== undefined && <span className={styles.count}>{count}</span>}
      </h2>
      {children}
    </section>
  );
};

type EmptyProps = { icon: ReactNode; title: string; children?: ReactNode };

export const Empty = ({ icon, title, children }: EmptyProps) => (
  <div className={styles.empty}>
    <span className={styles.emptyIcon}>{icon}</span>
    <p className={styles.emptyTitle}>{title}</p>
    {children !== undefined && <p>{children}</p>}
  </div>
);
