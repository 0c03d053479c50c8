// An audit entry as it is read: two lines of JSON (docs/decisions/0009-audit-log.md). What it says is never believed before its bytes are proven.

type Row = Readonly<Record<string, unknown>>;

interface Head {
  readonly site: string;
  readonly position: number;
  readonly generation: number;
  readonly time: string;
  readonly shard: string;
  readonly term: number;
  readonly base: number;
  readonly batches: Readonly<Record<string, number>>;
}

export interface Entry {
  /** Where, when, under whose term, and the number that each batch gives it. */
  readonly head: Head;
  /** The rows of this position, by list. */
  readonly body: Readonly<Record<string, readonly Row[]>>;
}

/** Reads the bytes of an entry; throws when they are none. */
export function parseEntry(bytes: Uint8Array): Entry {
  const [first, second, more] = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8").split("\n");
  if (first === undefined || second === undefined || more !== undefined) throw new SyntaxError("an audit entry has two lines");
  const [head, body]: readonly [unknown, unknown] = [JSON.parse(first), JSON.parse(second)];
  if (!isHead(head)) throw new TypeError("an audit entry's first line says where it stands");
  if (!isBody(body)) throw new TypeError("an audit entry's second line has lists of rows");
  return { head, body };
}

// Without schemas, which would copy every head and every row of every entry that is verified.

const isHead = (value: unknown): value is Head => {
  if (!isObject(value) || !isObject(value["batches"])) return false;
  const { site, position, generation, time, shard, term, base, batches } = value;
  return (
    [site, time, shard].every((text) => typeof text === "string") && [position, generation, term, base, ...Object.values(batches)].every(Number.isSafeInteger)
  );
};

const isBody = (value: unknown): value is Entry["body"] =>
  isObject(value) && Object.values(value).every((list: unknown) => Array.isArray(list) && list.every(isObject));

const isObject = (value: unknown): value is Row => typeof value === "object" && value !== null && !Array.isArray(value);

export type Party = "person" | "machine" | "device" | "system";

/** An entry in a reviewer's words: who did what, when, why, from where, and what it changed. */
export interface TrailItem {
  readonly position: number;
  readonly generation: number;
  /** When it went on record, UTC. */
  readonly time: string;
  /** The number that each batch gives to what changes its record. */
  readonly batches: Readonly<Record<string, number>>;
  /** The role is that by which they might; null: of whoever has none. */
  readonly who: { readonly kind: Party; readonly name: string; readonly role: string | null };
  /** Whose session was open at the device's station when it was done; null: nobody's, or no device told of it. */
  readonly performedBy: { readonly person: string; readonly station: string; readonly session: number; readonly at: string } | null;
  /** The event's type, the command, the act, or what fell due. */
  readonly what: string;
  /** What it was done to, as far as it is one thing. */
  readonly object: string | null;
  readonly result: string;
  readonly code: string | null;
  readonly why: string | null;
  readonly from: string | null;
  /** As it is printed (21 CFR 11.50): by whom, in which role, what it means, when, and why; null: nothing was signed. */
  readonly signed: string | null;
  /** Old and new value of what it changed. */
  readonly changes: readonly { readonly what: string; readonly old: unknown; readonly new: unknown }[];
}

/** The entry in a reviewer's words. */
export function trailItem({ head, body }: Entry): TrailItem {
  const signal = body["signals"]?.[0];
  const verdict = body["verdicts"]?.[0];
  const answer = part(body["answers"]?.[0]?.["answer"]);
  const asked = part(signal?.["body"]);
  const { position, generation, time, batches } = head;
  return {
    position,
    generation,
    time,
    batches,
    who: whoOf(signal),
    performedBy: performerIn(body),
    what: whatOf(signal, verdict),
    object: text(asked["object"]) ?? objectOf({ ...verdict, ...asked }),
    result: text(verdict?.["status"]) ?? text(answer["kind"]) ?? "recorded",
    code: text(verdict?.["code"]) ?? text(answer["code"]),
    why: text(asked["reason"]) ?? text(verdict?.["reason"]) ?? text(answer["reason"]),
    from: text(asked["from"]) ?? text(signal?.["topic"]),
    signed: signatureInWords(asked["signature"]),
    changes: changesOf(body, asked),
  };
}

function whoOf(signal: Readonly<Record<string, unknown>> | undefined): TrailItem["who"] {
  switch (signal?.["kind"]) {
    case "event":
    case "diag":
      return { kind: "device", name: text(signal["source"]) ?? "unknown", role: null };
    case "command":
    case "act": {
      const name = text(signal["actor"]) ?? "unattributed";
      const kind = name === "signalbox" ? "system" : name.startsWith("machine:") ? "machine" : "person";
      return { kind, name, role: text(part(signal["body"])["role"]) };
    }
    // what fell due, and what was judged again
    default:
      return { kind: "system", name: "signalbox", role: null };
  }
}

function performerIn(body: Entry["body"]): TrailItem["performedBy"] {
  const { person, station, session, performed_at: at } = part(body["performances"]?.[0]);
  return typeof person === "string" && typeof station === "string" && typeof session === "number" && typeof at === "string"
    ? { person, station, session, at }
    : null;
}

/** Who an entry is on record as told by and, where that was a device, performed by: as people read it. */
export const whoInWords = ({ who, performedBy }: TrailItem, more = ""): string =>
  `${who.name}${more}${performedBy === null ? "" : `; performed by person:${performedBy.person} at station ${performedBy.station}, session ${performedBy.session}`}`;

/** A signature as it is printed (21 CFR 11.50); null: it is none. */
export function signatureInWords(signature: unknown): string | null {
  const { signer, role, meaning, reason, at } = part(signature);
  const name = text(part(signer)["name"]);
  return name === null ? null : `${name} (${String(part(signer)["person"])}), ${String(role)}: ${String(meaning)}, ${String(at)}. ${String(reason)}`;
}

function whatOf(signal: Readonly<Record<string, unknown>> | undefined, verdict: Readonly<Record<string, unknown>> | undefined): string {
  const asked = part(signal?.["body"]);
  switch (signal?.["kind"]) {
    case "command":
      return (text(asked["kind"]) ?? "command").replace(/command$/, text(asked["command"]) ?? "command");
    case "tick":
      return `${text(asked["tick"])}.due`;
    case "diag":
      return "diagnosis";
    case "act":
      return text(signal["type"]) ?? "act";
    default:
      return text(verdict?.["type"]) ?? text(signal?.["type"]) ?? "unreadable";
  }
}

function objectOf(at: Readonly<Record<string, unknown>>): string | null {
  const [batch, step, equipment, source] = ["batch", "step", "equipment", "source"].map((name) => text(at[name]));
  if (batch != null) return step == null ? `batch ${batch}` : `batch ${batch}, step ${step}`;
  if (equipment != null) return `equipment ${equipment}`;
  return source == null ? null : `source ${source}`;
}

function changesOf(body: Entry["body"], asked: Readonly<Record<string, unknown>>): TrailItem["changes"] {
  const registered = "old" in asked && "new" in asked ? [{ what: text(asked["object"]) ?? "", old: asked["old"], new: asked["new"] }] : [];
  const brought = (body["facts"] ?? []).map((fact) => {
    const { from, to, before, at: _, by: __, ...said } = part(fact["data"]);
    const what = [text(fact["kind"]), text(fact["batch"]), text(fact["step"]), text(fact["equipment"])].filter((name) => name !== null).join(" ");
    return { what, old: fact["from_state"] ?? from ?? before ?? null, new: fact["to_state"] ?? to ?? said };
  });
  return [...registered, ...brought];
}

const text = (value: unknown): string | null => (typeof value === "string" ? value : null);
const part = (value: unknown): Readonly<Record<string, unknown>> => (typeof value === "object" && value !== null ? { ...value } : {});
