/** Single keys that act from anywhere on a page, except where something is typed or chosen. */
import { useEffect, useRef } from "react";

const ELSEWHERE = "input, textarea, select, [contenteditable], dialog, [role=menu], [role=dialog]";

const OFF_KEY = "flow:single-keys";

/** Say whether single keys act on this device: who types by voice can switch them off. */
export const areKeysOn = (): boolean => localStorage.getItem(OFF_KEY) !== "off";

export const switchKeys = (on: boolean): void => {
  if (on) {
    localStorage.removeItem(OFF_KEY);
  } else {
    localStorage.setItem(OFF_KEY, "off");
  }
};

/** Say whether a key press is meant for the page, and not for a field, a menu or a dialog. */
export const isForPage = (event: KeyboardEvent): boolean =>
  !event.defaultPrevented &&
  !event.ctrlKey &&
  !event.metaKey &&
  !event.altKey &&
  !event.isComposing &&
  !(event.target instanceof Element && event.target.closest(ELSEWHERE) !== null) &&
  document.querySelector("dialog[open]") === null;

/** Call `onKey` for each key that is pressed for the page; it says whether the key was its own. */
export const usePageKeys = (onKey: (key: string) => boolean): void => {
  const handler = useRef(onKey);
  useEffect(() => {
    handler.current = onKey;
  });
  useEffect(() => {
    const listen = (event: KeyboardEvent) => {
      if (isForPage(event) && areKeysOn() && handler.current(event.key)) {
        event.preventDefault();
      }
    };
    document.addEventListener("keydown", listen);
    return () => document.removeEventListener("keydown", listen);
  }, []);
};
