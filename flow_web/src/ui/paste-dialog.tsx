/** Asks once what several pasted lines are: one thing, or many. */
import { Dialog, DialogButtons } from "./dialog";
import styles from "./paste-dialog.module.css";

const SHOWN_MAX = 6;

type PasteDialogProps = {
  lines: readonly string[];
  onMany: () => void;
  onOne: () => void;
  onClose: () => void;
};

export const PasteDialog = ({ lines, onMany, onOne, onClose }: PasteDialogProps) => (
  <Dialog title={`Add ${lines.length} lines?`} onClose={onClose}>
    <ul className={styles.lines}>
      {lines.slice(0, SHOWN_MAX).map((line, index) => (
        // oxlint-disable-next-line react/no-array-index-key -- The lines never change.
        <li key={index}>{line}</li>
      ))}
      {lines.length > SHOWN_MAX && <li>and {lines.length - SHOWN_MAX} more</li>}
    </ul>
    <DialogButtons>
      <button type="button" className="button" onClick={onClose}>
        Cancel
      </button>
      <button type="button" className="button" onClick={onOne}>
        As one, with the rest as its text
      </button>
      <button type="button" className="button" data-kind="primary" onClick={onMany}>
        As {lines.length} items
      </button>
    </DialogButtons>
  </Dialog>
);
