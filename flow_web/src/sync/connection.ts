/** Tells when the connection has been gone long enough to say so. */
import { useConvexConnectionState } from "convex/react";
import { useEffect, useState } from "react";

// Trains pass through tunnels: a short gap is not worth a word.
const QUIET_MS = 3_000;
const CAUGHT_UP_MS = 2_000;

export type ConnectionNotice =
  | { kind: "none" }
  | { kind: "reconnecting"; pending: number; everConnected: boolean }
  | { kind: "caught-up" };

/** Return what to tell the user about the connection, if anything. */
export const useConnectionNotice = (): ConnectionNotice => {
  const { isWebSocketConnected, hasEverConnected, inflightMutations } = useConvexConnectionState();
  // Whether the loss has been told, and its end not yet for long enough.
  const [told, setTold] = useState(false);

  useEffect(() => {
    const timer = isWebSocketConnected
      ? setTimeout(() => setTold(false), CAUGHT_UP_MS)
      : setTimeout(() => setTold(true), QUIET_MS);
    return () => clearTimeout(timer);
  }, [isWebSocketConnected]);

  if (!told) {
    return { kind: "none" };
  }
  return isWebSocketConnected
    ? { kind: "caught-up" }
    : { kind: "reconnecting", pending: inflightMutations, everConnected: hasEverConnected };
};
