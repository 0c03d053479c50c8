import { randomBytes } from "node:crypto";
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { readPerson } from "../access/access.store.ts";
import { CHALLENGE_SECONDS, type Kept, keepChallenge, readChallenge, useChallenge } from "../access/challenge.store.ts";
import { readDeeds, readUnreviewed } from "../access/deeds.store.ts";
import { nonceOf, type Proven } from "../access/oidc.fetch.ts";
import { open, seal } from "../access/seal.ts";
import { type Challenge, digestOfChallenge, digestOfRecord, type Signature } from "../access/signature.ts";
import { type SignedAct, signedAct } from "../access/signed-acts.ts";
import { signatureInWords } from "../audit/entry.ts";
import { databaseNow } from "../commit/shard.store.ts";
import { takenOver } from "../decide/locks.ts";
import { DISPOSES } from "../review/review.store.ts";
import { fromOf } from "./attribution.http.ts";
import type { RouteDeps } from "./deps.ts";
import { personIn, roleFor } from "./guard.http.ts";
import { keptSchema, refusedByProvider } from "./oidc.http.ts";
import { lockSchema } from "./operations.http.ts";
import { passwordsOf } from "./passwords.ts";
import { invalid, notFound, Problem } from "./problem.ts";
import { listSignatures, listSites } from "./reads.store.ts";
import {
  BODY_PROBLEMS,
  COMMAND_PROBLEMS,
  cursorText,
  decodeCursor,
  json,
  listLimit,
  page,
  pageOf,
  plantId,
  positionNumber,
  READ_PROBLEMS,
  reason,
} from "./schemas.ts";
import { personId } from "./sign-in.http.ts";
import { underSignature } from "./signing.http.ts";

/** A signature, as it stands in the act that it signs. */
export const signatureSchema = z.object({
  signature: z.string(),
  signer: z.object({ person: z.string(), name: z.string(), issuer: z.string(), subject: z.string() }),
  role: z.string(),
  meaning: z.string(),
  reason: z.string(),
  at: z.string().describe("UTC."),
  record: z.object({ what: z.string(), sha256: z.string() }),
  challengeSha256: z.string(),
  authenticated: z.looseObject({ method: z.enum(["password", "oidc"]) }),
});

const SIGNING = "challenge";
const ALPHABET = "abcdefghijklmnopqrstuvwxyz234567";

/**
 * Electronic signatures (21 CFR 11.50, 11.70, 11.200): a person is shown what they are about to sign, proves anew who they are, and what they sign is done with the signature in it, or not at all.
 * A challenge is of one person, for one act, on the record as it stood, and used once.
 */
export function signatureRoutes(scope: FastifyInstance, { db: readers, access: { db, secret, oidc } }: RouteDeps): void {
  const app = scope.withTypeProvider<ZodTypeProvider>();
  const passwords = passwordsOf(db);

  app.get(
    "/v1/sites/:site/signatures",
    {
      schema: {
        operationId: "listSignatures",
        summary: "The signatures at a site, in the order of its record; of one record or of one person",
        tags: ["signatures"],
        params: z.strictObject({ site: plantId }),
        querystring: z.strictObject({
          record: z.string().max(256).optional().describe("As a signature names it: batch B-1042."),
          person: personId.optional(),
          cursor: cursorText,
          limit: listLimit,
        }),
        response: {
          200: json(
            page(
              z.object({
                position: z.int(),
                what: z.string().describe("The command or act that was signed."),
                signed: z.string(),
                signature: signatureSchema,
                void: z.boolean().describe("What it was about has changed since: the signature holds no more."),
                voidedBy: z
                  .object({ position: z.int(), at: z.string(), who: z.string(), what: z.string() })
                  .nullable()
                  .describe("The first that changed it, as the audit trail names it; null: nothing has."),
              }),
            ),
            "A page.",
          ),
          ...READ_PROBLEMS,
        },
      },
    },
    async (request) => {
      const { site } = request.params;
      const { record, person, cursor, limit } = request.query;
      if (!(await listSites(readers)).includes(site)) throw notFound(`site ${site}`);
      const after = decodeCursor(cursor, z.tuple([positionNumber]));
      const rows = await listSignatures(readers, site, { record: record ?? null, person: person ?? null }, after?.[0] ?? 0, limit + 1);
      const { items, cursor: next } = pageOf(rows, limit, ({ position }) => [position]);
      return {
        items: items.map(({ position, what, signature, voidedBy }) => ({
          position,
          what,
          signed: signatureInWords(signature) ?? "",
          signature: signatureSchema.parse(signature),
          void: voidedBy !== null,
          voidedBy,
        })),
        cursor: next,
      };
    },
  );

  app.post(
    "/v1/signatures/challenges",
    {
      schema: {
        operationId: "askToSign",
        summary: "Says what somebody is about to sign, and by what they prove anew who they are",
        tags: ["signatures"],
        body: z.strictObject({
          path: z
            .string()
            .max(512)
            .regex(/^\/v1\/[!-~]+$/, "is no address")
            .describe("What is to be done, as it would be posted: its address,"),
          body: z.record(z.string(), z.unknown()).describe("and its body."),
          reason,
        }),
        response: {
          201: json(
            z.object({
              challenge: z.string(),
              text: z.string().describe("Show exactly this to whoever signs."),
              meaning: z.string(),
              record: z.object({ what: z.string(), sha256: z.string().describe("Of the record as it stands now.") }),
              expiresAt: z.string(),
              by: z.discriminatedUnion("method", [
                z.object({ method: z.literal("password") }),
                z.object({
                  method: z.literal("oidc"),
                  url: z.string().describe("Where the signer logs in anew."),
                  login: z.string().describe("To be sent back with the signature."),
                }),
              ]),
            }),
            "What is to be signed.",
          ),
          ...COMMAND_PROBLEMS,
        },
      },
    },
    async (request, reply) => {
      const signer = personIn(request);
      const { path, body, reason: why } = request.body;
      const act = await actIn(request, path, body);
      if (act === null)
        throw invalid("Nothing that needs a signature is done there.", [{ pointer: "/path", detail: "with this body is no act that is signed" }]);
      const role = roleFor(request, "POST", path, body, act.site);
      await refuseUnfit(path, body, act, signer.id);
      const record = await recordOf(request, act);
      const created = new Date(await databaseNow(db));
      const challenge: Challenge = {
        challenge: Array.from(randomBytes(26), (byte) => ALPHABET[byte % 32]).join(""),
        person: signer.id,
        site: act.site,
        path,
        body,
        role,
        meaning: act.meaning,
        reason: why,
        shown: `I, ${signer.name} (${signer.id}), as ${role}, ${act.does} at ${act.site === null ? "every site" : `site ${act.site}`}: ${act.meaning}. Reason: ${why}`,
        record: act.record,
        recordSha256: record.sha256,
        recordTag: record.tag,
        createdAt: created.toISOString(),
        expiresAt: new Date(created.getTime() + CHALLENGE_SECONDS * 1_000).toISOString(),
      };
      const digest = digestOfChallenge(challenge);
      const by = await howToProve(signer.id, digest, created.getTime(), challenge.challenge);
      await keepChallenge(db, challenge, digest);
      return reply
        .code(201)
        .header("cache-control", "no-store")
        .send({
          challenge: challenge.challenge,
          text: challenge.shown,
          meaning: challenge.meaning,
          record: { what: challenge.record, sha256: challenge.recordSha256 },
          expiresAt: challenge.expiresAt,
          by,
        });
    },
  );

  app.post(
    "/v1/signatures",
    {
      schema: {
        operationId: "sign",
        summary: "Signs a challenge, and does what was signed, with the signature in it",
        description: "What is answered is what the act itself answers, or refuses. A challenge is used up either way.",
        tags: ["signatures"],
        body: z.strictObject({
          challenge: z.string().max(64),
          password: z.string().min(1).max(512).optional().describe("The signer's own, again."),
          login: z.string().max(4_096).optional().describe("As the challenge gave it,"),
          callback: z.string().max(8_192).optional().describe("and the address to which the provider sent the signer back."),
        }),
        response: {
          200: json(z.object({ signature: signatureSchema, status: z.int(), answer: z.unknown() }), "Signed and done: what the act answered."),
          ...COMMAND_PROBLEMS,
        },
      },
    },
    async (request, reply) => {
      const signer = personIn(request);
      const kept = await readChallenge(db, request.body.challenge, signer.id);
      if (kept === null) throw notFound(`challenge ${request.body.challenge}`);
      if (kept.used) throw new Problem(409, "SIGNATURE_USED", "This was signed before; a challenge is used once.");
      if (kept.expired) throw new Problem(409, "SIGNATURE_EXPIRED", "The challenge has ended; ask for a new one.");
      const proven = await prove(request, kept, signer.id);
      const { challenge } = kept;
      const act = await actIn(request, challenge.path, challenge.body);
      if (act === null) throw new Error(`challenge ${challenge.challenge} is about nothing that is signed`);
      await refuseUnfit(challenge.path, challenge.body, act, signer.id);
      const record = await recordOf(request, act);
      if (record.sha256 !== challenge.recordSha256)
        throw new Problem(
          409,
          "SIGNATURE_RECORD_CHANGED",
          `${challenge.record} is not what it was when you were asked to sign; look at it again, and ask for a new challenge.`,
        );
      const at = await useChallenge(db, challenge.challenge, proven === null ? null : { idToken: proven.idToken, key: proven.key });
      if (at === null) throw new Problem(409, "SIGNATURE_USED", "This was signed before, or has ended meanwhile.");
      const person = await readPerson(db, signer.id);
      if (person === null) throw new Error(`${signer.id} has signed and is not known`);
      const signature: Signature = {
        signature: challenge.challenge,
        signer: { person: signer.id, name: person.name, issuer: person.issuer, subject: person.subject },
        role: challenge.role,
        meaning: challenge.meaning,
        reason: challenge.reason,
        at,
        record: { what: challenge.record, sha256: challenge.recordSha256 },
        challengeSha256: kept.digest.toString("hex"),
        authenticated: authenticatedBy(proven),
      };
      const done = await underSignature(signature, (pass) =>
        app.inject({
          method: "POST",
          url: challenge.path,
          payload: JSON.stringify(challenge.body),
          remoteAddress: request.ip,
          headers: {
            ...pass,
            "content-type": "application/json",
            authorization: request.headers.authorization ?? "",
            // of the challenge: whatever is asked twice is done once
            "idempotency-key": `signature ${challenge.challenge}`,
            ...(challenge.recordTag === null ? {} : { "if-match": challenge.recordTag }),
          },
        }),
      );
      if (done.statusCode >= 300)
        return reply
          .code(refusedWith(done.statusCode))
          .type("application/problem+json")
          .serializer(String)
          .send(done.body as never);
      return { signature: signatureSchema.parse(signature), status: done.statusCode, answer: JSON.parse(done.body) };
    },
  );

  /** What a request would have a person sign, at its site; null: nothing. */
  async function actIn(request: FastifyRequest, path: string, body: unknown): Promise<SignedAct | null> {
    const act = signedAct(path, body);
    if (act?.lock === undefined) return act;
    const { id, site, equipment, batch, step } = lockSchema.parse(pickedOf(act, (await readFor(request, act, act.read)).body));
    const read = `/v1/context-locks?${new URLSearchParams({ site, equipment, batch })}`;
    const steps = takenWith(id, (await readFor(request, act, read)).body).flatMap((lock) => lock.step ?? []);
    const from = step === null ? [`batch ${batch}`, ...steps.map((one) => `its step ${one}`)].join(" and ") : `step ${step} of batch ${batch}`;
    return { ...act, site, read, does: `take over ${equipment} from ${from}` };
  }

  /** The record that an act is about, as whoever signs may read it. */
  async function recordOf(request: FastifyRequest, act: SignedAct): Promise<{ readonly sha256: string; readonly tag: string | null }> {
    const { body } = await readFor(request, act, act.read);
    const record = act.lock === undefined ? pickedOf(act, body) : takenWith(act.lock, body);
    const sha256 = typeof body["digest"] === "string" ? body["digest"] : digestOfRecord(record).toString("hex");
    return { sha256, tag: act.tagged === null ? null : (await readFor(request, act, act.tagged)).tag };
  }

  async function readFor(
    request: FastifyRequest,
    act: SignedAct,
    url: string,
  ): Promise<{ readonly body: Record<string, unknown>; readonly tag: string | null }> {
    const answer = await app.inject({ method: "GET", url, remoteAddress: request.ip, headers: { authorization: request.headers.authorization ?? "" } });
    if (answer.statusCode !== 200) throw notFound(act.record);
    return { body: Object(JSON.parse(answer.body)), tag: typeof answer.headers["etag"] === "string" ? answer.headers["etag"] : null };
  }

  /** Nobody verifies or takes over what they performed, and nobody reviews or disposes of their own deeds; and nobody disposes of what is not reviewed. */
  async function refuseUnfit(path: string, body: unknown, act: SignedAct, person: string): Promise<void> {
    const deed = await readDeeds(db, { path, body, site: act.site }, `person:${person}`);
    if (deed !== null) throw new Problem(403, "SIGNATURE_OWN_DEED", deed);
    const batch = /^batch (.+)$/.exec(act.record)?.[1];
    const unreviewed = act.site !== null && batch !== undefined && DISPOSES.has(Object(body).command) ? await readUnreviewed(db, act.site, batch) : null;
    if (unreviewed !== null) throw new Problem(409, "REVIEW_MISSING", `Batch ${batch} cannot be disposed of. ${unreviewed}`);
  }

  async function howToProve(
    person: string,
    digest: Buffer,
    now: number,
    challenge: string,
  ): Promise<{ readonly method: "password" } | { readonly method: "oidc"; readonly url: string; readonly login: string }> {
    const known = await readPerson(db, person);
    if (known === null || known.issuer === "local") return { method: "password" };
    if (oidc === null || oidc.issuer !== known.issuer)
      throw new Problem(409, "ACCESS_REFUSED", `${person} signs in at ${known.issuer}, which is not set up here.`);
    const begun = await oidc.begin({ purpose: "sign", challengeDigest: digest, subject: known.subject }, now);
    if (begun.kind === "refused") throw refusedByProvider(begun);
    const { url, kind: _, ...login } = begun;
    return { method: "oidc", url, login: seal(secret, `${SIGNING} ${challenge}`, login) };
  }

  /** Proves anew who somebody is; null: by their password. Throws what they are told when it does not. */
  async function prove(request: FastifyRequest, { challenge, digest }: Kept, person: string): Promise<Proven | null> {
    const { password, login, callback } = Object(request.body);
    const known = await readPerson(db, person);
    if (known?.issuer === "local") {
      if (typeof password !== "string") throw invalid("Sign with your password.", [{ pointer: "/password", detail: "is missing" }]);
      if ((await passwords.tried(person, password, fromOf(request))) === null)
        throw new Problem(403, "SIGNATURE_NOT_PROVEN", "This is not the signer's password, or they are locked out.");
      return null;
    }
    const begun = keptSchema.safeParse(typeof login === "string" ? open(secret, `${SIGNING} ${challenge.challenge}`, login) : null);
    if (oidc === null || !begun.success || typeof callback !== "string" || !URL.canParse(callback))
      throw invalid("Sign with the login that the challenge began.", [{ pointer: "/login", detail: "is not the challenge's" }]);
    const proven = await oidc.complete(new URL(callback).searchParams, begun.data, Date.parse(await databaseNow(db)));
    if (proven.kind === "refused") throw refusedByProvider(proven);
    if (proven.nonce !== nonceOf(digest)) throw new Problem(403, "SIGNATURE_NOT_PROVEN", "The login was for something else.");
    return proven;
  }
}

/** Out of the locks of its equipment, a lock and what goes with it when it is taken over. */
function takenWith(id: string, { items }: Record<string, unknown>): readonly z.infer<typeof lockSchema>[] {
  const held = z.array(lockSchema).parse(items);
  const lock = held.find((one) => one.id === id);
  if (lock === undefined) throw notFound(`lock ${id}`);
  return takenOver(held, lock);
}

/** Of a list the one that is meant; a source is named by its gap there. */
const pickedOf = (act: SignedAct, body: Record<string, unknown>): unknown => {
  const { items } = body;
  if (!Array.isArray(items)) return body;
  const name = act.record.slice(act.record.indexOf(" ") + 1);
  const found: unknown = items.find((item: unknown) => Object(item).id === name || Object(item).gap === name);
  if (found === undefined) throw notFound(act.record);
  return found;
};

function authenticatedBy(proven: Proven | null): Signature["authenticated"] {
  if (proven === null) return { method: "password" };
  const { authTime, acr, amr, idToken, keyThumbprint } = proven;
  return { method: "oidc", at: authTime, acr, amr, idTokenSha256: digestOfRecord(idToken).toString("hex"), keyThumbprint };
}

const REFUSALS: ReadonlySet<number> = new Set(Object.keys({ ...BODY_PROBLEMS, ...COMMAND_PROBLEMS }).map(Number));
const refusedWith = (status: number): 409 => (REFUSALS.has(status) ? status : 409) as 409;
