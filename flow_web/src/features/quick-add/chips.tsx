/** What was understood of a line, piece by piece; each can be turned back into text. */
import type { Hint, Span } from "../../sync/api";
import { CloseIcon, WarningIcon } from "../../ui/icons";
import styles from "./chips.module.css";
import type { Reading } from "./use-reading";

/** A warning of the server in words. */
const inWords = (warning: string): string => {
  const gap = /^gap:fires (.+)$/u.exec(warning)?.[1];
  if (gap !== undefined) {
    return `The clocks skip that time: it is ${gap} then`;
  }
  return warning === "past" ? "In the past" : warning;
};

type ChipsProps = {
  reading: Reading;
  onUndo: (span: Span) => void;
  onAccept: (hint: Hint) => void;
};

export const Chips = ({ reading: { spans, hints, view }, onUndo, onAccept }: ChipsProps) => (
  <ul className={styles.chips} aria-label="What was understood">
    {spans.map((span) => (
      <li key={`${span.start}:${span.kind}`} className={styles.chip} data-kind={span.kind}>
        <span>{span.label}</span>
        <button
          type="button"
          aria-label={`Keep as text: ${span.label}`}
          title="Keep as text (Backspace)"
          onClick={() => onUndo(span)}
        >
          <CloseIcon />
        </button>
      </li>
    ))}
    {view.warnings.map((warning) => (
      <li key={warning} className={styles.warning}>
        <WarningIcon /> {inWords(warning)}
      </li>
    ))}
    {hints.map((hint) => (
      <li key={`${hint.start}:${hint.meaning}`}>
        <button type="button" className={styles.hint} onClick={() => onAccept(hint)}>
          {hint.text}? <kbd>Tab</kbd>
        </button>
      </li>
    ))}
  </ul>
);

/** Return the chips as one sentence, for those who hear them. */
export const spoken = ({ spans, hints, view }: Reading): string => {
  const read = spans.map((span) => span.label);
  const warned = view.warnings.map(inWords);
  const offered = hints.map((hint) => `${hint.text}: Tab reads it as a date`);
  return [...read, ...warned, ...offered].join(", ");
};
