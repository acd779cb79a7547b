/** Which day it is at home, and how its weeks run; dates are shown and offered by it. */
import { createContext, useContext } from "react";

export type HomeDay = {
  /** The IANA zone in which days begin and end. */
  zone: string;
  /** Such as "2026-10-30". */
  today: string;
  weekStarts: "monday" | "sunday";
};

export const HomeDayContext = createContext<HomeDay | null>(null);

export const useHomeDay = (): HomeDay => {
  const day = useContext(HomeDayContext);
  if (day === null) {
    throw new Error("useHomeDay needs a HomeDayContext above it: render it inside the page.");
  }
  return day;
};
