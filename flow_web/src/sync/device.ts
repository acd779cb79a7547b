/** What the device says of itself. */

/** The IANA zone that the device is in: words like "tomorrow" are meant where they are typed. */
export const deviceZone = (): string => Intl.DateTimeFormat().resolvedOptions().timeZone;
