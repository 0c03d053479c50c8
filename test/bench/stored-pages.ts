import type { TestDatabase } from "../support/postgres.ts";
import { percentiles } from "./percentiles.ts";
import { SITE } from "./plan.ts";

// The first page of every list that the service offers, under every filter that its own description names, for something of the end of the record and of its middle. A filter of which nobody
// says here by what it is tried is an error.

export interface Page {
  readonly path: string;
  readonly p50: number;
  readonly p99: number;
}

/** Each is asked so often. */
const TIMES = 100;
/** How a page is cut, and not what is on it. */
const NO_FILTERS: ReadonlySet<string> = new Set(["cursor", "limit", "after", "generation", "direction"]);
/** A stream has no pages, and a proof is no list. */
const NO_LISTS: ReadonlySet<string> = new Set(["/v1/outcomes/events", "/v1/audit/sites/{site}/consistency"]);

type Values = Readonly<Record<string, readonly string[]>>;

interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly required?: boolean;
  readonly schema?: { readonly enum?: readonly string[] };
}

export async function timePages(url: string, database: TestDatabase, say: (text: string) => void): Promise<readonly Page[]> {
  const lists = await listsOf(url);
  const places = [await valuesAt(database, 1), await valuesAt(database, 0.5)];
  const paths = new Set(places.flatMap((values, n) => lists.flatMap((list) => requestsOf(list, values, n > 0))));
  say(`${paths.size} first pages`);
  const pages: Page[] = [];
  for (const path of paths) pages.push(await timed(url, path));
  return pages.sort((a, b) => b.p99 - a.p99);
}

interface List {
  readonly path: string;
  readonly filters: readonly Parameter[];
  readonly required: readonly string[];
}

/** What is asked by what it is filtered by, as the service describes itself. */
async function listsOf(url: string): Promise<readonly List[]> {
  const { paths } = Object(await (await fetch(`${url}/openapi.json`)).json());
  return Object.entries<{ readonly get?: { readonly parameters?: readonly Parameter[] } }>(paths).flatMap(([path, { get }]) => {
    const asked = (get?.parameters ?? []).filter((parameter) => parameter.in === "query");
    if (asked.length === 0 || NO_LISTS.has(path)) return [];
    return [
      { path, filters: asked.filter(({ name }) => !NO_FILTERS.has(name)), required: asked.filter(({ required }) => required === true).map(({ name }) => name) },
    ];
  });
}

/** `within`: in the days of the values, where a list would cover the last day. */
function requestsOf({ path, filters, required }: List, values: Values, within: boolean): readonly string[] {
  const first = (name: string): string => values[name]?.[0] ?? unknown(`{${name}} of ${path}`);
  const filled = path.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(first(name)));
  const query = (asked: readonly (readonly [string, string])[]): string =>
    `${filled}?${new URLSearchParams([...required.filter((name) => !asked.some(([given]) => given === name)).map((name): [string, string] => [name, first(name)]), ...asked.map(([name, value]): [string, string] => [name, value])])}`;
  const inTime = filters.some(({ name }) => name === "from");
  const window: readonly (readonly [string, string])[] = within && inTime ? [["from", first("from")] as const, ["to", first("to")] as const] : [];
  const each = filters.flatMap(({ name, schema }) => (schema?.enum ?? values[name] ?? unknown(`${name} of ${path}`)).map((value) => [name, value] as const));
  return [query(window), ...each.flatMap((one) => [query([one]), query([one, ...window.filter(([name]) => name !== one[0])])])];
}

function unknown(what: string): never {
  throw new Error(`nobody says by what ${what} is tried`);
}

/** By what each filter is tried: what there is at a place of the record, from its beginning (0) to its end (1), and what there is nowhere. */
async function valuesAt(database: TestDatabase, place: number): Promise<Values> {
  const [found] = await database.query(`
    select v.*, to_char(v.recorded_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as "from", to_char((v.recorded_at + interval '1 day') at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as "to",
      l.site || '.' || l.equipment || '.' || l.token as lock, x.site || '.' || x.position || '.' || x.ordinal as exception
    from verdicts v
      left join lateral (select * from context_locks l where l.site = v.site and l.batch = v.batch limit 1) l on true
      left join lateral (select * from exceptions x where x.site = v.site and x.position >= v.position order by x.position limit 1) x on true
    where v.site = '${SITE}' and v.status = 'accepted' and v.step is not null
      and v.position > (select position * ${place} - 5000 from sites where site = '${SITE}') order by v.position limit 1`);
  const is = (name: string): string => String(found?.[name]);
  const codes = await database.query(
    `select distinct code from (select code from verdicts where site = '${SITE}' and position > ${is("position")}::bigint - 20000 and code is not null) c`,
  );
  return {
    site: [SITE],
    line: [is("line"), "nowhere"],
    equipment: [is("equipment"), "nowhere"],
    batch: [is("batch"), "B-nowhere"],
    step: [is("step"), "nowhere"],
    source: [is("source"), "nowhere"],
    stream: [`batch/${is("batch")}`],
    code: [...codes.map(({ code }) => String(code)), "ENV_NOT_JSON"],
    id: [is("event_id"), is("exception"), is("lock"), `${SITE}.${is("position")}`],
    epoch: [is("epoch"), "999999999"],
    sequence: [is("sequence"), "999999999"],
    type: [is("type"), "material.consumed"],
    correlation: ["nothing"],
    from: [is("from")],
    to: [is("to")],
    execution: ["closed", "running", "complete"],
    record: [`batch ${is("batch")}`],
    person: ["nobody"],
    who: [is("source"), "nobody"],
    what: [is("type"), "nothing"],
    why: ["DUP_EXACT", "nothing", "nobody ever wrote this"],
    kind: ["material"],
    station: ["nowhere"],
  };
}

async function timed(url: string, path: string): Promise<Page> {
  const took: number[] = [];
  for (let n = 0; n < TIMES; n += 1) {
    const began = performance.now();
    const response = await fetch(`${url}${path}`);
    const text = await response.text();
    took.push(performance.now() - began);
    // what is not there is an answer too
    if (!response.ok && response.status !== 404) throw new Error(`${path}: ${response.status} ${text}`);
  }
  const { p50, p99 } = percentiles(Float64Array.from(took));
  return { path, p50, p99 };
}
