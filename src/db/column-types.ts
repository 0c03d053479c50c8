import pg from "pg";

const { types } = pg;

type Parse = (text: string) => unknown;

// Object identifiers of the built-in types; they never change. The second of a pair is the array type.
const INT8 = [20, 1016] as const;
const NUMERIC = [1700, 1231] as const;
const DATE = [1082, 1182] as const;
const TIMESTAMP = [1114, 1115] as const;
const TIMESTAMPTZ = [1184, 1185] as const;
const INTERVAL = [1186, 1187] as const;
const TEXT_ARRAY = 1009;

const TIMESTAMP_TEXT = /^(\d{4,6})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?([+-])(\d\d)(?::(\d\d))?(?::(\d\d))?$/;

/**
 * A timestamptz as Postgres writes it (any offset) → ISO 8601 in UTC with all six decimals, `2026-11-22T08:00:01.400000Z`. A Date would lose the microseconds, and with
 * them the order of two facts. `infinity` and years before Christ stay as they are written.
 */
export function instant(text: string): string {
  const found = TIMESTAMP_TEXT.exec(text);
  if (found === null) return text;
  const [, year, month, day, hour, minute, second, fraction = "", sign, offsetHours, offsetMinutes, offsetSeconds] = found;
  // not Date.UTC, to which the years 1 to 99 are of the twentieth century
  const local = new Date(0).setUTCFullYear(Number(year), Number(month) - 1, Number(day)) + milliseconds(hour, minute, second);
  const offsetMs = milliseconds(offsetHours, offsetMinutes, offsetSeconds);
  const whole = new Date(sign === "-" ? local + offsetMs : local - offsetMs).toISOString();
  return `${whole.slice(0, -5)}.${fraction.padEnd(6, "0")}Z`;
}

const milliseconds = (hours = "0", minutes = "0", seconds = "0"): number => ((Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds)) * 1000;

// @types/pg knows types by name only; the driver takes any identifier.
const builtIn = (oid: number, format: "text" | "binary" = "text"): Parse => types.getTypeParser(oid as Parameters<typeof types.getTypeParser>[0], format);

// The parser of text[] splits any array; null stays null, arrays of arrays stay nested.
const splitArray: Parse = builtIn(TEXT_ARRAY);

function each(parse: Parse): Parse {
  const inside = (value: unknown): unknown => (Array.isArray(value) ? value.map(inside) : typeof value === "string" ? parse(value) : value);
  return (text) => inside(splitArray(text));
}

const asWritten: Parse = (text) => text;
const asBigInt: Parse = (text) => BigInt(text);

const parsers: ReadonlyMap<number, Parse> = new Map(
  (
    [
      [INT8, asBigInt],
      [NUMERIC, asWritten],
      [DATE, asWritten],
      [TIMESTAMP, asWritten],
      [TIMESTAMPTZ, instant],
      [INTERVAL, asWritten],
    ] as const
  ).flatMap(([[one, many], parse]): [number, Parse][] => [
    [one, parse],
    [many, each(parse)],
  ]),
);

/**
 * How columns come back, for one pool and not for the whole process: int8 as bigint, numeric as its literal text, date, timestamp and interval as text, timestamptz as
 * ISO text in UTC with microseconds, arrays of these likewise. Everything else as pg does it: json and jsonb parsed, bytea as Buffer.
 */
export const columnTypes = {
  getTypeParser(oid: number, format?: "text" | "binary"): Parse {
    const own = format === "binary" ? undefined : parsers.get(oid);
    return own ?? builtIn(oid, format);
  },
};
