/** When a reminder could ring: a little later, this evening, tomorrow, next week. */
import type { Settings } from "../../sync/api";
import { addDays, dateIn, nextWeekday, timeIn } from "../../ui/dates";
import type { WhenChoice } from "../../ui/when-menu";

const HOUR_MS = 3_600_000;
const FIRST_DAY = { sunday: 0, monday: 1 } as const;

type Times = Pick<Settings, "morning" | "evening" | "week_starts">;

const USUAL: Times = { morning: "09:00", evening: "18:00", week_starts: "monday" };

const wall = (label: string, date: string, time: string): WhenChoice => ({
  label,
  hint: time.slice(0, 5),
  when: { date, time: time.slice(0, 5) },
});

/** `now`: milliseconds since the epoch; the wall times are those of `zone`. */
export const ringChoices = (
  now: number,
  zone: string,
  settings: Times | undefined,
): WhenChoice[] => {
  const { morning, evening, week_starts } = settings ?? USUAL;
  const today = dateIn(zone, now);
  const later = now + HOUR_MS;
  return [
    wall("In an hour", dateIn(zone, later), timeIn(zone, later)),
    ...(timeIn(zone, now) < evening ? [wall("This evening", today, evening)] : []),
    wall("Tomorrow morning", addDays(today, 1), morning),
    wall("Next week", nextWeekday(today, FIRST_DAY[week_starts]), morning),
  ];
};
