/** Calendar dates as texts ("2026-10-30") and in words. No zone is involved: a date is a date. */

const DAY_MS = 86_400_000;
const DAYS_A_WEEK = 7;

const words = (options: Intl.DateTimeFormatOptions): ((date: string) => string) => {
  const format = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", ...options });
  return (date) => format.format(Date.parse(date)).replace(",", "");
};

const weekdayName = words({ weekday: "long" });
const shortDate = words({ weekday: "short", day: "numeric", month: "short" });
const shortDateWithYear = words({ day: "numeric", month: "short", year: "numeric" });
export const longDate = words({ weekday: "long", day: "numeric", month: "long" });

export const addDays = (date: string, days: number): string =>
  new Date(Date.parse(date) + days * DAY_MS).toISOString().slice(0, 10);

/** Return the days from `from` to `to`: negative if `to` lies before. */
export const daysBetween = (from: string, to: string): number =>
  Math.round((Date.parse(to) - Date.parse(from)) / DAY_MS);

/** Return the next day, after `date`, that is this weekday; 0 is Sunday. */
export const nextWeekday = (date: string, weekday: number): string => {
  const ahead = (weekday - new Date(Date.parse(date)).getUTCDay() + DAYS_A_WEEK) % DAYS_A_WEEK;
  return addDays(date, ahead === 0 ? DAYS_A_WEEK : ahead);
};

/** Return a date as people say it on `today`: "Tomorrow", "Friday", "Fri 30 Oct", "5 Jan 2027". */
export const dayLabel = (date: string, today: string): string => {
  const ahead = daysBetween(today, date);
  switch (ahead) {
    case -1:
      return "Yesterday";
    case 0:
      return "Today";
    case 1:
      return "Tomorrow";
    default:
      if (ahead > 1 && ahead < DAYS_A_WEEK) {
        return weekdayName(date);
      }
      return date.slice(0, 4) === today.slice(0, 4) ? shortDate(date) : shortDateWithYear(date);
  }
};

/** Return a due date in words, with its time if it has one. */
export const dueLabel = (date: string, time: string | null, today: string): string =>
  time === null ? dayLabel(date, today) : `${dayLabel(date, today)} ${time.slice(0, 5)}`;

/** Return the date that it is in a zone at an instant (milliseconds since the epoch). */
export const dateIn = (zone: string, instant: number): string => {
  const parts = new Intl.DateTimeFormat("en-GB", {
    timeZone: zone,
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
  }).formatToParts(instant);
  const part = (type: string): string => parts.find((each) => each.type === type)?.value ?? "";
  return `${part("year")}-${part("month")}-${part("day")}`;
};

/** Return the wall time that it is in a zone at an instant, such as "09:00". */
export const timeIn = (zone: string, instant: number): string =>
  new Intl.DateTimeFormat("en-GB", { timeZone: zone, hour: "2-digit", minute: "2-digit" }).format(
    instant,
  );
