/** The clock of the screen: what is shown turns by itself when an instant passes. */
import { useCallback, useSyncExternalStore } from "react";

// Timers stand still while a device sleeps, so none is trusted for longer than this.
const LOOK_EVERY_MS = 30_000;

const subscribeToMinutes = (listener: () => void): (() => void) => {
  const timer = setInterval(listener, LOOK_EVERY_MS);
  document.addEventListener("visibilitychange", listener);
  return () => {
    clearInterval(timer);
    document.removeEventListener("visibilitychange", listener);
  };
};

/** Return what `read` gives now, and again whenever that changes; it is asked twice a minute. */
export const useByTheClock = (read: () => string): string =>
  useSyncExternalStore(subscribeToMinutes, read);

/** Say whether an instant (milliseconds since the epoch) has passed; renders again when it does. */
export const useHasPassed = (instant: number | null): boolean => {
  const subscribe = useCallback(
    (listener: () => void) => {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const look = () => {
        const left = (instant ?? 0) - Date.now();
        if (left <= 0) {
          listener();
        } else {
          timer = setTimeout(look, Math.min(left, LOOK_EVERY_MS));
        }
      };
      if (instant !== null) {
        look();
      }
      return () => clearTimeout(timer);
    },
    [instant],
  );
  return useSyncExternalStore(subscribe, () => instant !== null && instant <= Date.now());
};
