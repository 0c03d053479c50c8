// The RFC 3339 timestamps that are taken: an existing day and time of the years 1 to 9999, with the offset that the standard demands. A leap second is not taken, since
// neither Date nor the database can tell it from the second after; an offset beyond 15 hours does not exist and the database refuses it.
const INSTANT = /^\d{4}-\d\d-\d\d[Tt](?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:[Zz]|[+-](?:0\d|1[0-5]):[0-5]\d)$/;

/** Whether a text is an RFC 3339 timestamp that every reader understands alike. */
export function isInstant(text: string): boolean {
  if (!INSTANT.test(text)) return false;
  const [year, month, day] = [Number(text.slice(0, 4)), Number(text.slice(5, 7)), Number(text.slice(8, 10))];
  if (year === 0 || month < 1 || month > 12 || day < 1) return false;
  // every month has so many
  if (day <= 28) return true;
  // the last day of a month is day 0 of the next; the year moves to one of the same length in the range of Date.UTC
  return day <= new Date(Date.UTC(2000 + (year % 400), month, 0)).getUTCDate();
}
