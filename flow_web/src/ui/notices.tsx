/** Toasts, and the one polite live region that says outcomes aloud. */
import {
  createContext,
  useCallback,
  useContext,
  useEffect,
  useMemo,
  useRef,
  useState,
} from "react";
import type { ReactNode } from "react";

import { CloseIcon } from "./icons";
import styles from "./notices.module.css";

const TOAST_MS = 8_000;
const TOAST_MAX = 3;
// A reader hears a text only when the region changes; this mark makes a repeated text a new one.
const REPEAT_MARK = "\u00A0";

/** What can be done about a notice, such as to undo what it tells. */
export type NoticeAction = { label: string; run: () => void };

type Toast = { id: number; text: string; action: NoticeAction | undefined };

export type Notices = {
  /** Say an outcome to readers of the live region; the screen shows it already. */
  announce: (text: string) => void;
  /** Show a sentence for a while, and say it. */
  toast: (text: string, action?: NoticeAction) => void;
};

const NoticesContext = createContext<Notices | null>(null);

export const useNotices = (): Notices => {
  const notices = useContext(NoticesContext);
  if (notices === null) {
    throw new Error("useNotices needs a NoticesProvider above it: wrap the page in one.");
  }
  return notices;
};

export const NoticesProvider = ({ children }: { children: ReactNode }) => {
  const [said, setSaid] = useState("");
  const [toasts, setToasts] = useState<readonly Toast[]>([]);
  const nextId = useRef(0);

  const announce = useCallback(
    (text: string) => setSaid((before) => (before === text ? text + REPEAT_MARK : text)),
    [],
  );
  const toast = useCallback(
    (text: string, action?: NoticeAction) => {
      nextId.current += 1;
      const shown = { id: nextId.current, text, action };
      setToasts((before) => [...before, shown].slice(-TOAST_MAX));
      announce(text);
    },
    [announce],
  );
  const dismiss = useCallback(
    (id: number) => setToasts((before) => before.filter((shown) => shown.id !== id)),
    [],
  );
  const notices = useMemo(() => ({ announce, toast }), [announce, toast]);

  return (
    <NoticesContext value={notices}>
      {children}
      <div className="visually-hidden" role="status" aria-live="polite" data-live-region>
        {said}
      </div>
      <section className={styles.toasts} aria-label="Notices">
        {toasts.map((shown) => (
          <ToastView key={shown.id} toast={shown} onDismiss={dismiss} />
        ))}
      </section>
    </NoticesContext>
  );
};

const ToastView = ({ toast, onDismiss }: { toast: Toast; onDismiss: (id: number) => void }) => {
  const [held, setHeld] = useState(false);

  useEffect(() => {
    if (held) {
      return undefined;
    }
    const timer = setTimeout(() => onDismiss(toast.id), TOAST_MS);
    return () => clearTimeout(timer);
  }, [held, onDismiss, toast.id]);

  return (
    <div
      className={styles.toast}
      data-toast
      onPointerEnter={() => setHeld(true)}
      onPointerLeave={() => setHeld(false)}
      onFocus={() => setHeld(true)}
      onBlur={() => setHeld(false)}
    >
      <p>{toast.text}</p>
      {toast.action !== undefined && (
        <button
          type="button"
          className={styles.action}
          onClick={() => {
            toast.action?.run();
            onDismiss(toast.id);
          }}
        >
          {toast.action.label}
        </button>
      )}
      <button
        type="button"
        className="icon-button"
        aria-label="Dismiss"
        onClick={() => onDismiss(toast.id)}
      >
        <CloseIcon />
      </button>
    </div>
  );
};
