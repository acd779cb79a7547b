/** A quiet line while the server is out of reach. */
import { useConnectionNotice } from "../../sync/connection";
import styles from "./connection-line.module.css";

const waiting = (pending: number): string => {
  switch (pending) {
    case 0:
      return "";
    case 1:
      return " 1 change is waiting.";
    default:
      return ` ${pending} changes are waiting.`;
  }
};

export const ConnectionLine = () => {
  const notice = useConnectionNotice();
  return (
    <div role="status" className={styles.place} data-connection={notice.kind}>
      {notice.kind === "reconnecting" && (
        <p className={styles.line}>
          <span className={styles.pulse} />
          {notice.everConnected ? "Reconnecting…" : "Cannot reach the server yet, still trying…"}
          {waiting(notice.pending)}
        </p>
      )}
      {notice.kind === "caught-up" && <p className={styles.line}>Caught up.</p>}
    </div>
  );
};
