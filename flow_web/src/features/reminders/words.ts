/** What is said of a ring that came late, and of the occurrences that it stands for. */

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const LATE_FROM_SECONDS = MINUTE;

const amount = (seconds: number): string => {
  if (seconds < HOUR) {
    return `${Math.floor(seconds / MINUTE)} min`;
  }
  return seconds < 2 * DAY
    ? `${Math.floor(seconds / HOUR)} h`
    : `${Math.floor(seconds / DAY)} days`;
};

/** Return "18 h late, 3 missed", or nothing for a ring that was on time. */
export const lateness = ({
  late_seconds: late,
  missed,
}: {
  late_seconds: number;
  missed: number;
}): string =>
  [
    late >= LATE_FROM_SECONDS ? `${amount(late)} late` : "",
    missed > 0 ? `${missed} missed` : "",
  ]
    .filter((part) => part !== "")
    .join(", ");
