/** A line to put things down in, without saying yet what they are. */
import { useState } from "react";
import type { ClipboardEvent, FormEvent } from "react";

import { asOneLine } from "../../sync/lines";
import { linesOf } from "../../ui/lines";
import { PasteDialog } from "../../ui/paste-dialog";
import styles from "./capture-field.module.css";

const LINE_MAX = 2_000;

type CaptureFieldProps = { onCapture: (line: string, onRefused: () => void) => void };

export const CaptureField = ({ onCapture }: CaptureFieldProps) => {
  const [line, setLine] = useState("");
  const [pasted, setPasted] = useState<readonly string[] | null>(null);

  const submit = (event: FormEvent) => {
    event.preventDefault();
    const wanted = line.trim();
    if (wanted !== "") {
      setLine("");
      onCapture(wanted, () => setLine((now) => (now === "" ? wanted : now)));
    }
  };
  const onPaste = (event: ClipboardEvent<HTMLInputElement>) => {
    const lines = linesOf(event.clipboardData.getData("text/plain"));
    if (lines.length > 1) {
      event.preventDefault();
      setPasted(lines);
    }
  };
  return (
    <form className={styles.form} onSubmit={submit}>
      <input
        className="field"
        aria-label="Put something down"
        placeholder="Put down a thought or a link, decide later"
        autoComplete="off"
        enterKeyHint="done"
        maxLength={LINE_MAX}
        value={line}
        onChange={(event) => setLine(event.target.value)}
        onPaste={onPaste}
      />
      {line.trim() !== "" && (
        <button type="submit" className="button">
          Put down
        </button>
      )}
      {pasted !== null && (
        <PasteDialog
          lines={pasted}
          onClose={() => setPasted(null)}
          onMany={() => {
            for (const each of pasted) {
              onCapture(each, () => undefined);
            }
            setPasted(null);
          }}
          onOne={() => {
            setLine((now) => now + asOneLine(pasted));
            setPasted(null);
          }}
        />
      )}
    </form>
  );
};
