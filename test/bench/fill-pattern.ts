import { LINES } from "./plan.ts";

// What a value of a filling is in a cell's turn: found from the same value in some turns that were decided, as an expression of SQL in `turn` and `cell`. Whatever differs between them must
// be understood; what is not is an error.

/** A value as text, and where it was seen. */
export interface Seen {
  readonly turn: number;
  readonly cell: number;
  readonly text: string | null;
}

export interface Known {
  /** The texts of which something is the SHA-256, by that in hex. */
  readonly hashed: ReadonlyMap<string, string>;
  /** The number that an event's id is made from. */
  readonly numbers: ReadonlyMap<string, number>;
  /** Milliseconds since 1970 at which a turn begins; its batches are of that day. */
  readonly begins: (turn: number) => number;
}

const ID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";
const TIME = String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(?:\d{3})?Z`;
const DAY = String.raw`\d{4}-\d\d-\d\d`;
const HASH = "[0-9a-f]{40,64}";
const PIECES = new RegExp(`(${ID}|${TIME}|${DAY}|(?<![0-9a-z])${HASH}(?![0-9a-z])|${String.raw`\d+`})`);
const whole = (pattern: string): RegExp => new RegExp(`^${pattern}$`);
const [IS_ID, IS_TIME, IS_DAY, IS_HASH, IS_NUMBER] = [ID, TIME, DAY, HASH, String.raw`\d{1,15}`].map(whole) as [RegExp, RegExp, RegExp, RegExp, RegExp];
/** What stands in front of a delivery's length, beside which its hash stands. */
const LENGTH = '"raw_length":';

export const literal = (value: string): string => `'${value.replaceAll("'", "''")}'`;

/** The expression of a text; null: there is none. */
export function textOf(seen: readonly Seen[], known: Known): string | null {
  const pieces = piecesOf(seen);
  if (pieces === null) return null;
  const parts = pieces.map((piece, n) => {
    const [{ text = "" } = {}] = piece;
    if (n % 2 === 1 && pieces[n - 1]?.[0]?.text?.endsWith(LENGTH)) return lengthOf(piece, pieces, known);
    if (piece.every((one) => one.text === text)) return literal(text ?? "");
    if (n % 2 === 0) throw new Error(`not understood: ${told(piece)}`);
    return pieceOf(piece, known);
  });
  return together(parts.filter((part) => part !== "''"));
}

/** What a function takes at most. */
const ARGUMENTS = 90;

function together(parts: readonly string[]): string {
  if (parts.length <= ARGUMENTS) return `concat(${parts.length === 0 ? "''" : parts.join(", ")})`;
  const some = Array.from({ length: Math.ceil(parts.length / ARGUMENTS) }, (_, n) => parts.slice(n * ARGUMENTS, (n + 1) * ARGUMENTS));
  return together(some.map(together));
}

/** The bytes of a hash. */
export function hashOf(seen: readonly Seen[], known: Known): string | null {
  const [{ text = null } = {}] = seen;
  if (seen.every((one) => one.text === text)) return text === null ? null : literal(`\\x${text}`);
  const bytes = `sha256(convert_to(${preimageOf(seen, known)}, 'UTF8'))`;
  return text?.length === 40 ? `substr(${bytes}, 1, 20)` : bytes;
}

export const countOf = numberOf;
export const momentOf = (seen: readonly Seen[]): string => `(${timeOf(seen)} at time zone 'utc')`;

/** What differs, piece by piece: texts and, between them, what may count on. */
function piecesOf(seen: readonly Seen[]): readonly (readonly Seen[])[] | null {
  if (seen.every(({ text }) => text === null)) return null;
  const split = seen.map(({ text, ...at }) => (text ?? "").split(PIECES).map((text) => ({ ...at, text })));
  const length = split[0]?.length ?? 0;
  if (split.some((pieces) => pieces.length !== length) || seen.some(({ text }) => text === null)) throw new Error(`not understood: ${told(seen)}`);
  return Array.from({ length }, (_, n) => split.flatMap((pieces) => pieces[n] ?? []));
}

function pieceOf(seen: readonly Seen[], known: Known): string {
  const are = (pattern: RegExp): boolean => seen.every(({ text }) => pattern.test(text ?? ""));
  if (are(IS_ID)) return `md5('event ' || ${numberOf(seen.map((one) => ({ ...one, text: String(known.numbers.get(one.text ?? "")) })))})::uuid`;
  if (are(IS_TIME)) return `to_char(${timeOf(seen)}, 'YYYY-MM-DD"T"HH24:MI:SS.${seen[0]?.text?.length === 24 ? "MS" : "US"}"Z"')`;
  if (are(IS_DAY)) return `to_char(${dayOf(seen, known)}, 'YYYY-MM-DD')`;
  if (are(IS_HASH)) {
    const hash = `encode(sha256(convert_to(${preimageOf(seen, known)}, 'UTF8')), 'hex')`;
    return seen[0]?.text?.length === 40 ? `left(${hash}, 40)` : hash;
  }
  if (are(IS_NUMBER)) return numberOf(seen);
  throw new Error(`not understood: ${told(seen)}`);
}

/** A length is of no fixed amount more where numbers grow longer. */
function lengthOf([first]: readonly Seen[], pieces: readonly (readonly Seen[])[], known: Known): string {
  const raw = pieces.find(([hash]) => String(known.hashed.get(hash?.text ?? "")?.length) === first?.text);
  return `octet_length(${preimageOf(raw ?? [], known)})`;
}

function preimageOf(seen: readonly Seen[], known: Known): string {
  const texts = seen.map(({ text, ...at }) => ({ ...at, text: known.hashed.get(text ?? "") ?? null }));
  if (texts.length === 0 || texts.some(({ text }) => text === null)) throw new Error(`nobody knows of what this is the hash: ${told(seen)}`);
  return `(${textOf(texts, known)})`;
}

/** Also where all were seen on one day: they are of the day on which their turn begins. */
export function dayOf(seen: readonly Seen[], { begins }: Pick<Known, "begins">): string {
  const turns = seen.map(({ turn, cell }) => ({ turn, cell, value: begins(turn) * 1_000 }));
  if (seen.some(({ turn, text }) => text !== new Date(begins(turn)).toISOString().slice(0, 10))) throw new Error(`not the day of its batch: ${told(seen)}`);
  return instantOf(turns, told(seen));
}

const timeOf = (seen: readonly Seen[]): string =>
  instantOf(
    seen.map(({ turn, cell, text }) => ({ turn, cell, value: Date.parse(`${text?.slice(0, 23)}Z`) * 1_000 + Number(text?.slice(23, 26).replace("Z", "")) })),
    told(seen),
  );

function instantOf(seen: readonly Counted[], what: string): string {
  const { at, ofCell, ofTurn } = linear(seen, (cell) => cell) ?? unknown(what);
  const first = new Date(Math.floor(at / 1_000)).toISOString().replace(/Z$/, String(at % 1_000).padStart(3, "0"));
  return `(timestamp '${first}' + (${ofTurn} * turn + ${ofCell} * cell) * interval '1 microsecond')`;
}

function numberOf(seen: readonly Seen[]): string {
  const counted = seen.map(({ turn, cell, text }) => ({ turn, cell, value: Number(text) }));
  const straight = linear(counted, (cell) => cell);
  if (straight !== null) return written(straight, "cell");
  return written(linear(counted, (cell) => cell % LINES) ?? unknown(told(seen)), `(cell % ${LINES})`);
}

const written = ({ at, ofCell, ofTurn }: Linear, cell: string): string =>
  `(${[String(at), ...(ofTurn === 0 ? [] : [`${ofTurn} * turn`]), ...(ofCell === 0 ? [] : [`${ofCell} * ${cell}`])].join(" + ")})`;

interface Counted {
  readonly turn: number;
  readonly cell: number;
  readonly value: number;
}

interface Linear {
  /** In turn 0 and cell 0. */
  readonly at: number;
  readonly ofCell: number;
  readonly ofTurn: number;
}

/** By how much a value grows from turn to turn and from cell to cell; null: by no fixed amount. */
function linear(seen: readonly Counted[], place: (cell: number) => number): Linear | null {
  const [first] = seen;
  if (first === undefined) return null;
  const slope = (other: Counted | undefined, by: (one: Counted) => number): number =>
    other === undefined ? 0 : (other.value - first.value) / (by(other) - by(first));
  const ofTurn = slope(
    seen.find(({ turn, cell }) => cell === first.cell && turn !== first.turn),
    ({ turn }) => turn,
  );
  const ofCell = slope(
    seen.find(({ turn, cell }) => turn === first.turn && place(cell) !== place(first.cell)),
    ({ cell }) => place(cell),
  );
  const at = first.value - ofTurn * first.turn - ofCell * place(first.cell);
  const fits = seen.every(({ turn, cell, value }) => value === at + ofTurn * turn + ofCell * place(cell));
  return fits && [at, ofTurn, ofCell].every(Number.isSafeInteger) ? { at, ofCell, ofTurn } : null;
}

function unknown(what: string): never {
  throw new Error(`nothing that counts on: ${what}`);
}

const told = (seen: readonly Seen[]): string =>
  seen
    .slice(0, 6)
    .map(({ turn, cell, text }) => `turn ${turn} cell ${cell} ${text?.slice(0, 400)}`)
    .join("; ");
