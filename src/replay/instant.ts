// Times of the record: RFC 3339 with microseconds as text, milliseconds since 1970 with microseconds behind the point where something is added to them.

export const instant = (ms: number): string => {
  const micros = Math.round(ms * 1000);
  return `${new Date(Math.floor(micros / 1000)).toISOString().slice(0, -1)}${String(micros % 1000).padStart(3, "0")}Z`;
};

/** Milliseconds of a time as the record tells it: UTC with six decimals. */
export const msOf = (text: string): number => Date.parse(`${text.slice(0, 23)}Z`) + Number(text.slice(23, 26)) / 1000;

/** To the microsecond, which is what the database keeps. */
export const later = (ms: number, by: number): number => (Math.round(ms * 1000) + Math.round(by * 1000)) / 1000;
