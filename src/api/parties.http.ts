import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { EVENT_TYPES } from "../decode/event-types.ts";
import { KEY_STATES, readAccessReport, signOff } from "../parties/access-review.store.ts";
import { readKeysEver } from "../parties/keys.store.ts";
import { mosquittoAcl } from "../parties/mosquitto-acl.ts";
import {
  type Answer,
  type Asked,
  activate,
  approve,
  giveCredential,
  propose,
  type Refusal,
  type Revision,
  readInForce,
  readRevisions,
  revoke,
  revokeKey,
} from "../parties/parties.store.ts";
import { definitionSchema, keyId, PARTY_KINDS, PARTY_STATES, partyName, SERVICE_RIGHTS } from "../parties/party.ts";
import { attributionOf } from "./attribution.http.ts";
import type { RouteDeps } from "./deps.ts";
import { sitesIn } from "./guard.http.ts";
import { invalid, notFound, Problem } from "./problem.ts";
import { listSites } from "./reads.store.ts";
import { requestKeyOf, sayReplayed } from "./request-key.http.ts";
import { ACT_PROBLEMS, actHeaders, json, plantId, READ_PROBLEMS, reason, saying, text } from "./schemas.ts";

const done = z.object({ by: z.string(), at: z.string(), position: z.int().describe("Of the entry that tells of it.") });
const revisionSchema = z.object({
  site: z.string(),
  party: z.string().describe("The user name at the broker."),
  revision: z.int(),
  state: z.enum(PARTY_STATES),
  ...definitionSchema.shape,
  proposed: done,
  approved: done.nullable(),
  activated: done.nullable(),
  revoked: done.extend({ reason: z.string() }).nullable(),
});
const partySchema = z.object({ revisions: z.array(revisionSchema).describe("In order; at most one is active.") });
const shownSchema = partySchema.extend({
  revokedKeys: z.array(z.string()).describe("Ids of its signing keys that were revoked, for good: no further revision has any of them."),
});

const proposalSchema = z.strictObject({
  ...definitionSchema.shape,
  may: definitionSchema.shape.may
    .optional()
    .describe("What it may do. Of kind service it may be left out: then it is what the service does, and nothing else."),
});
const ofRevision = z.strictObject({ revision: z.int().min(1) });
const digestText = z.string().regex(/^[0-9a-f]{64}$/, "is no SHA-256 in hexadecimal");

const reviewSchema = z.object({
  review: z.int().describe("The position of the entry that tells of it."),
  digest: digestText,
  parties: z.int(),
  conflicts: z.int(),
  finding: z.string(),
  by: z.string(),
  at: z.string(),
});
const reportSchema = z.object({
  site: z.string(),
  digest: digestText.describe("SHA-256 over the parties as they are reported: what a reviewer signs off."),
  parties: z.array(
    z.object({
      party: z.string(),
      kind: z.enum(PARTY_KINDS),
      owner: z.string(),
      revision: z.int(),
      state: z.enum(PARTY_STATES),
      may: z.array(z.object({ right: z.string(), topics: z.array(z.string()), types: z.array(z.string()).nullable() })),
      validFrom: z.string().nullable(),
      validUntil: z.string().nullable(),
      signing: definitionSchema.shape.signing,
      keys: z
        .array(
          z.object({
            kid: z.string(),
            publicKey: z.string(),
            state: z
              .enum(KEY_STATES)
              .describe("early: in force and not yet valid; unused: no revision in force has it; revoked: by itself, or with its party, for good."),
            validFrom: z.string().nullable(),
            validUntil: z.string().nullable(),
            revoked: z.object({ by: z.string(), at: z.string(), reason: z.string() }).nullable(),
          }),
        )
        .optional()
        .describe("Every signing key that any revision of the party ever had; absent where it had none."),
      proposedBy: z.string(),
      approvedBy: z.string().nullable(),
      approvedAt: z.string().nullable(),
      activatedAt: z.string().nullable(),
      credential: z.object({ state: z.enum(["none", "issued", "revoked"]), issuedAt: z.string().nullable() }),
      conflicts: z.array(z.object({ code: z.string(), refuses: z.boolean(), sentence: z.string() })),
    }),
  ),
  history: z.array(reviewSchema).describe("Reviews that were signed off, the last one first."),
});

const revisionView = (revision: Revision): z.infer<typeof revisionSchema> => revisionSchema.parse(revision);
const KNOWN_TYPES: ReadonlySet<string> = new Set(Object.keys(EVENT_TYPES).map((name) => `signalbox.${name}.v1`));

/** Who may do what at the broker: proposed by one person, approved by another, in force from its activation until it is revoked or replaced. */
export function partyRoutes(scope: FastifyInstance, { own: db, prefix }: RouteDeps): void {
  const app = scope.withTypeProvider<ZodTypeProvider>();
  const ofSite = z.strictObject({ site: plantId });
  const ofParty = z.strictObject({ site: plantId, party: partyName });
  const tags = ["parties"];
  const askedBy = (request: FastifyRequest, { site, party }: z.infer<typeof ofParty>): Asked => ({
    site,
    party,
    by: attributionOf(request, site),
    key: requestKeyOf(request),
    everySite: sitesIn(request) === "all",
  });
  const mustBeSite = async (site: string): Promise<void> => {
    if (!(await listSites(db)).includes(site)) throw notFound(`site ${site}`);
  };

  app.get(
    "/v1/sites/:site/parties",
    {
      schema: {
        operationId: "listParties",
        summary: "Every party of a site, with every revision",
        tags,
        params: ofSite,
        response: { 200: json(z.object({ items: z.array(revisionSchema) }), "By party and revision."), ...READ_PROBLEMS },
      },
    },
    async (request) => {
      const { site } = request.params;
      await mustBeSite(site);
      return { items: (await readRevisions(db, site)).map(revisionView) };
    },
  );

  app.get(
    "/v1/sites/:site/parties/:party",
    {
      schema: {
        operationId: "getParty",
        summary: "A party, with every revision of it",
        tags,
        params: ofParty,
        response: { 200: json(shownSchema, "Its revisions."), ...READ_PROBLEMS },
      },
    },
    async (request) => {
      const { site, party } = request.params;
      const revisions = await readRevisions(db, site, party);
      if (revisions.length === 0) throw notFound(`party ${party} at site ${site}`);
      const revoked = (await readKeysEver(db)).filter((key) => key.site === site && key.party === party && key.revoked !== null);
      return { revisions: revisions.map(revisionView), revokedKeys: [...new Set(revoked.map(({ kid }) => kid))] };
    },
  );

  app.put(
    "/v1/sites/:site/parties/:party",
    {
      schema: {
        operationId: "proposeParty",
        summary: "Proposes the next revision of a party",
        description: "Nothing is in force before another person has approved it and it was activated. What no party may be permitted is refused at once.",
        tags,
        params: ofParty,
        headers: actHeaders,
        body: proposalSchema,
        response: { 201: json(revisionSchema, "The revision, proposed."), ...ACT_PROBLEMS },
      },
    },
    async (request, reply) => {
      const { may = request.body.kind === "service" ? [...SERVICE_RIGHTS] : undefined, ...rest } = request.body;
      if (may === undefined) throw invalid("What the party may do is missing.", [{ pointer: "/may", detail: "is missing" }]);
      const unknown = may.flatMap(({ types = [] }, i) =>
        types.every((type) => KNOWN_TYPES.has(type)) ? [] : [{ pointer: `/may/${i}/types`, detail: "names a type that there is not" }],
      );
      const must = request.body.signing?.must ?? [];
      if (must !== "all" && !must.every((type) => KNOWN_TYPES.has(type))) unknown.push({ pointer: "/signing/must", detail: "names a type that there is not" });
      if (unknown.length > 0) throw invalid("An event type is not known.", unknown);
      const revision = answered(reply, request.params, await propose(db, askedBy(request, request.params), { ...rest, may }));
      reply.code(201).header("location", `/v1/sites/${revision.site}/parties/${revision.party}`);
      return revisionView(revision);
    },
  );

  app.post(
    "/v1/sites/:site/parties/:party/approval",
    {
      schema: {
        operationId: "approveParty",
        summary: "Approves a proposed revision, as another person than its proposer",
        tags,
        params: ofParty,
        headers: actHeaders,
        body: ofRevision,
        response: { 200: json(revisionSchema, "The revision, approved."), ...ACT_PROBLEMS },
      },
    },
    async (request, reply) => revisionView(answered(reply, request.params, await approve(db, askedBy(request, request.params), request.body.revision))),
  );

  app.post(
    "/v1/sites/:site/parties/:party/activation",
    {
      schema: {
        operationId: "activateParty",
        summary: "Puts an approved revision into force",
        description:
          "It takes the place of the revision before. An embedded broker enforces it within a second; into another broker the compiled file is to be installed.",
        tags,
        params: ofParty,
        headers: actHeaders,
        body: ofRevision,
        response: { 200: json(revisionSchema, "The revision, active."), ...ACT_PROBLEMS },
      },
    },
    async (request, reply) => revisionView(answered(reply, request.params, await activate(db, askedBy(request, request.params), request.body.revision))),
  );

  app.post(
    "/v1/sites/:site/parties/:party/revocation",
    {
      schema: {
        operationId: "revokeParty",
        summary: "Revokes a party with its credential, and whatever is proposed for it",
        tags,
        params: ofParty,
        headers: actHeaders,
        body: z.strictObject({ reason }),
        response: { 200: json(partySchema, "Its revisions; none is active."), ...ACT_PROBLEMS },
      },
    },
    async (request, reply) => {
      const revisions = answered(reply, request.params, await revoke(db, askedBy(request, request.params), request.body.reason));
      return { revisions: revisions.map(revisionView) };
    },
  );

  app.post(
    "/v1/sites/:site/parties/:party/keys/:kid/revocation",
    {
      schema: {
        operationId: "revokePartyKey",
        summary: "Revokes a signing key of a party, for good",
        description:
          "What is signed by it is believed no more from the position of this act on; what was believed before stays. The party's other keys, and what it must sign, stay as they are.",
        tags,
        params: ofParty.extend({ kid: keyId }),
        headers: actHeaders,
        body: z.strictObject({ reason }),
        response: { 200: json(partySchema, "Its revisions."), ...ACT_PROBLEMS },
      },
    },
    async (request, reply) => {
      const { kid } = request.params;
      const revisions = answered(reply, request.params, await revokeKey(db, askedBy(request, request.params), kid, request.body.reason));
      return { revisions: revisions.map(revisionView) };
    },
  );

  app.post(
    "/v1/sites/:site/parties/:party/credential",
    {
      schema: {
        operationId: "issueCredential",
        summary: "Issues a password to a party, in the place of the one before",
        description:
          "256 bits, shown in this answer alone; what is kept is a verifier. Asked again under the same Idempotency-Key, the answer has no password: issue another one. A service of several sites is issued one for all of them, by whoever administers every site.",
        tags,
        params: ofParty,
        headers: actHeaders,
        response: {
          201: json(z.object({ party: z.string(), password: z.string().nullable(), position: z.int() }), "The password, once."),
          ...ACT_PROBLEMS,
        },
      },
    },
    async (request, reply) => {
      const answer = await giveCredential(db, askedBy(request, request.params));
      const { password } = answered(reply, request.params, answer);
      reply.code(201).header("cache-control", "no-store");
      return { party: request.params.party, password, position: answer.kind === "done" ? answer.position : 0 };
    },
  );

  app.get(
    "/v1/sites/:site/access-review",
    {
      schema: {
        operationId: "getAccessReview",
        summary: "Who may do what, who answers for it, who approved it, and what speaks against it",
        tags,
        params: ofSite,
        response: { 200: json(reportSchema, "The report as it stands, with the reviews that were signed off."), ...READ_PROBLEMS },
      },
    },
    async (request) => {
      const report = await readAccessReport(db, request.params.site, prefix, Date.now());
      if (report === null) throw notFound(`site ${request.params.site}`);
      return reportSchema.parse(report);
    },
  );

  app.post(
    "/v1/sites/:site/access-review",
    {
      schema: {
        operationId: "signOffAccessReview",
        summary: "Signs an access review off, on record",
        description: "Names the digest of the report that was seen; refused when the parties have changed since.",
        tags,
        params: ofSite,
        headers: actHeaders,
        body: z.strictObject({ digest: digestText, finding: saying(4_096).describe("What was found, in the reviewer's words.") }),
        response: { 201: json(reviewSchema, "The review, on record."), ...ACT_PROBLEMS },
      },
    },
    async (request, reply) => {
      const { site } = request.params;
      const asked = { site, by: attributionOf(request, site), key: requestKeyOf(request) };
      const review = answered(reply, { site, party: "" }, await signOff(db, asked, request.body, prefix, Date.now()));
      reply.code(201);
      return reviewSchema.parse(review);
    },
  );

  app.get(
    "/v1/sites/:site/broker-acl",
    {
      schema: {
        operationId: "getBrokerAcl",
        summary: "The site's parties as mosquitto's acl_file",
        description: "The same registry gives the same bytes. For a broker of several sites: signalbox parties acl.",
        tags,
        params: ofSite,
        response: { 200: text("text/plain", "The file."), ...READ_PROBLEMS },
      },
    },
    async (request, reply) => {
      const { site } = request.params;
      await mustBeSite(site);
      const { parties, revision } = await readInForce(db, [site], Date.now());
      reply.type("text/plain; charset=utf-8");
      return mosquittoAcl(parties, prefix, revision).text;
    },
  );
}

/** What came of a change; what was refused is thrown as the problem that it is. */
function answered<T>(reply: FastifyReply, { site, party }: { readonly site: string; readonly party: string }, answer: Answer<T>): T {
  if (answer.kind === "refused") throw problemOf(answer, site, party);
  if (answer.replayed) sayReplayed(reply);
  return answer.result;
}

function problemOf(refusal: Refusal, site: string, party: string): Problem {
  switch (refusal.because) {
    case "unknown":
      return notFound(refusal.what);
    case "nobody":
      return new Problem(409, "PARTY_NOT_BY_YOU", "This is for persons: whoever proposes, approves, activates or reviews must be signed in as one.");
    case "self":
      return new Problem(409, "PARTY_NOT_BY_YOU", `${refusal.proposer} has proposed it, so another person approves it.`);
    case "own":
      return new Problem(409, "PARTY_NOT_BY_YOU", `You have proposed or approved party ${refusal.party} yourself; another person reviews it.`);
    case "state":
      return new Problem(409, "PARTY_STATE", `Party ${party} at site ${site} does not stand where this can follow: ${refusal.state}.`);
    case "conflict":
      return new Problem(409, "PARTY_CONFLICT", refusal.conflicts.map(({ sentence }) => sentence).join(" "), {
        conflicts: refusal.conflicts.map(({ code, sentence }) => ({ code, sentence })),
      });
    case "digest":
      return new Problem(409, "REVIEW_OTHER", `The parties have changed since: the report's digest is ${refusal.digest} now.`);
  }
}
