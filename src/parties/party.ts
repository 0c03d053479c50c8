import { z } from "zod";
import { plantId } from "../registry/recipe.ts";
import { KID, publicKeyOf } from "./signing.ts";

// What a party is: whoever has a name of its own at the broker, and what it may do there. Its name is the broker's user name, and is never shared.

export const PARTY_KINDS = ["device", "gateway", "service", "dashboard", "mes"] as const;
export type PartyKind = (typeof PARTY_KINDS)[number];
export const DIRECTIONS = ["publish", "subscribe"] as const;
export type Direction = (typeof DIRECTIONS)[number];

/** What is said on a topic: the branches of the contract's section 3. `mirror` is a batch's retained state, `broker` what the broker says of itself. */
export const SUBJECTS = ["event", "diag", "telemetry", "state", "cmd", "outcome", "verdict", "cursor", "reply", "checkpoint", "mirror", "broker"] as const;
export type Subject = (typeof SUBJECTS)[number];

/** A party's name: a plant id without a colon, which would end the name in mosquitto's password_file, and none of the words that stand in its place in paths. */
export const partyName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/, "is no name of a party: letters, digits, _ . and -, at most 64");

/** A plant id, or + for every one there is or will be. */
const named = z.union([plantId, z.literal("+")]);

const whereSchema = z.union([
  z.literal("site").describe("What is the site's own."),
  z
    .strictObject({
      line: named,
      equipment: named,
      devices: z.array(named).max(500).optional().describe("Devices behind a gateway that have cursors of their own."),
    })
    .describe("The branch of an equipment; + stands for every line or equipment."),
  z.strictObject({ line: named, batch: named }).describe("The branch of a batch; + stands for every line or batch."),
]);

const eventType = z.string().regex(/^signalbox\.[a-z]+\.[a-z]+\.v[1-9]\d{0,3}$/, "is no event type such as signalbox.step.start.v1");

export const rightSchema = z.strictObject({
  direction: z.enum(DIRECTIONS),
  what: z.enum(SUBJECTS),
  where: whereSchema,
  types: z.array(eventType).min(1).max(100).optional().describe("Of events that are published: only these types. Without it, every type."),
});
export type Right = z.infer<typeof rightSchema>;

/** An instant in UTC, to the millisecond: two texts of one instant would be two digests. */
const instant = z.iso.datetime({ precision: 3 });

export const keyId = z.string().regex(KID, "is no id of a key: letters, digits, _ . and -, at most 64");

export const signingSchema = z.strictObject({
  keys: z
    .array(
      z.strictObject({
        kid: keyId.describe("How the key is called in what it has signed."),
        publicKey: z
          .string()
          .refine((x) => publicKeyOf(x) !== null, "is no Ed25519 public key: 32 bytes, base64url")
          .describe("Ed25519: its 32 bytes, base64url without padding (`x` of a JWK)."),
        validFrom: instant.nullable().default(null),
        validUntil: instant.nullable().default(null),
      }),
    )
    .min(1)
    .max(16),
  must: z.union([z.literal("all"), z.array(eventType).max(100)]).describe("Events of these types are believed only when they are signed; the others may be."),
});

export const definitionSchema = z.strictObject({
  kind: z.enum(PARTY_KINDS),
  /** The person who answers for it. */
  owner: z.string().regex(/^person:[^\s\p{Cc}]{1,200}$/u, "is no person, such as person:ann"),
  may: z.array(rightSchema).min(1).max(500),
  validFrom: instant.nullable().default(null),
  validUntil: instant.nullable().default(null),
  signing: signingSchema.optional().describe("By which keys it signs its events. Without it nothing is signed, and nothing is asked for."),
});
export type Definition = z.infer<typeof definitionSchema>;

/** A revision that is in force, or would be. */
export interface Party extends Definition {
  readonly site: string;
  /** Its user name at the broker. */
  readonly party: string;
  readonly revision: number;
}

/** Where a revision stands. Replaced: another revision of the party is active since. */
export const PARTY_STATES = ["proposed", "approved", "active", "replaced", "revoked"] as const;
export type PartyState = (typeof PARTY_STATES)[number];

/** At the broker a revision counts only while it is valid. */
export const isValid = ({ validFrom, validUntil }: Pick<Definition, "validFrom" | "validUntil">, nowMs: number): boolean =>
  (validFrom === null || Date.parse(validFrom) <= nowMs) && (validUntil === null || nowMs < Date.parse(validUntil));

/** What the service itself does at the broker, and nothing else: the only party that publishes what the service decides. */
export const SERVICE_RIGHTS: readonly Right[] = [
  ...(["event", "diag"] as const).map((what): Right => ({ direction: "subscribe", what, where: { line: "+", equipment: "+" } })),
  { direction: "subscribe", what: "broker", where: "site" },
  ...(["verdict", "outcome", "reply"] as const).map((what): Right => ({ direction: "publish", what, where: { line: "+", equipment: "+" } })),
  { direction: "publish", what: "cursor", where: { line: "+", equipment: "+", devices: ["+"] } },
  ...(["outcome", "mirror"] as const).map((what): Right => ({ direction: "publish", what, where: { line: "+", batch: "+" } })),
  ...(["outcome", "checkpoint"] as const).map((what): Right => ({ direction: "publish", what, where: "site" })),
];
