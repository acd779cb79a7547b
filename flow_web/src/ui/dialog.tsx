/** A modal dialog, on the browser's own element: focus trap, Escape and backdrop come with it. */
import { useId, useLayoutEffect, useRef } from "react";
import type { ReactNode } from "react";

import styles from "./dialog.module.css";

type DialogProps = {
  title: string;
  /** Called once the dialog closes, by a button in it, by Escape or by a click beside it. */
  onClose: () => void;
  children: ReactNode;
};

export const Dialog = ({ title, onClose, children }: DialogProps) => {
  const ref = useRef<HTMLDialogElement>(null);
  const titleId = useId();

  // A layout effect, so that it closes while it is still in the page: the focus then returns.
  useLayoutEffect(() => {
    const dialog = ref.current;
    dialog?.showModal();
    return () => dialog?.close();
  }, []);

  return (
    // A click on the backdrop is one on the dialog itself; Escape does the same for the keyboard.
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-element-interactions
    <dialog
      ref={ref}
      className={styles.dialog}
      aria-labelledby={titleId}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onPointerDown={(event) => {
        if (event.target === ref.current) {
          event.preventDefault();
          onClose();
        }
      }}
    >
      <div className={styles.body}>
        <h2 id={titleId} className={styles.title}>
          {title}
        </h2>
        {children}
      </div>
    </dialog>
  );
};

export const DialogButtons = ({ children }: { children: ReactNode }) => (
  <div className={styles.buttons}>{children}</div>
);
