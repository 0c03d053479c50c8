// ISO 8601 durations as recipes write them: weeks, or days, hours, minutes and seconds, to the millisecond. Years and months have no fixed length and are not durations here.
const DURATION = /^P(?:(\d{1,6})W|(?=\d|T\d)(?:(\d{1,6})D)?(?:T(?=\d)(?:(\d{1,6})H)?(?:(\d{1,8})M)?(?:(\d{1,10})(?:[.,](\d{1,3}))?S)?)?)$/;

/** Milliseconds of an ISO 8601 duration, or null when the text is none. */
export function parseDuration(text: string): number | null {
  const parts = DURATION.exec(text);
  if (parts === null) return null;
  const [weeks, days, hours, minutes, seconds] = parts.slice(1, 6).map((part) => Number(part ?? 0));
  const whole = ((((weeks ?? 0) * 7 + (days ?? 0)) * 24 + (hours ?? 0)) * 60 + (minutes ?? 0)) * 60 + (seconds ?? 0);
  return whole * 1000 + Number((parts[6] ?? "").padEnd(3, "0"));
}

/** Milliseconds of a duration that was checked before. Throws a RangeError on text that is none. */
export function durationMs(text: string): number {
  const ms = parseDuration(text);
  if (ms === null) throw new RangeError(`"${text}" is not an ISO 8601 duration of weeks, or of days, hours, minutes and seconds`);
  return ms;
}
