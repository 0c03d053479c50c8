import type { FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { parseEntry, trailItem } from "../audit/entry.ts";
import { leafHash } from "../audit/hash.ts";
import { type NotedTree, prover, readIntroductions, readKeptLeaf, readNoted, readSignedLog } from "../audit/proofs.store.ts";
import { putAuditSettings, readAuditState, readCheckpoint } from "../audit/settings.store.ts";
import { readEntry, searchTrail, TRAIL_ORDERS } from "../audit/trail.store.ts";
import { nameOf } from "../bundle/manifest.ts";
import { attributionOf } from "./attribution.http.ts";
import { REQUEST_CODES } from "./codes.ts";
import type { RouteDeps } from "./deps.ts";
import { invalid, notFound, Problem } from "./problem.ts";
import { mustBeKept } from "./retention.http.ts";
import {
  BODY_PROBLEMS,
  cursorText,
  decodeCursor,
  GONE,
  instantText,
  json,
  listLimit,
  PROOF_PROBLEMS,
  page,
  pageOf,
  plantId,
  positionNumber,
  READ_PROBLEMS,
  reasonHeaders,
  text,
  wholeNumber,
} from "./schemas.ts";

export const itemSchema = z.object({
  position: z.int(),
  generation: z.int(),
  time: z.string(),
  batches: z.record(z.string(), z.int()).describe("The number that each batch gives to every entry that changes its record, without holes."),
  who: z.object({
    kind: z.enum(["person", "machine", "device", "system"]),
    name: z.string(),
    role: z.string().nullable().describe("By which they might."),
  }),
  performedBy: z
    .object({ person: z.string(), station: z.string(), session: z.int(), at: z.string() })
    .nullable()
    .describe("Whose session was open at the device's station when it was done; null: nobody's, or no device told of it."),
  what: z.string(),
  object: z.string().nullable(),
  result: z.string(),
  code: z.string().nullable(),
  why: z.string().nullable(),
  from: z.string().nullable(),
  signed: z.string().nullable().describe("The signature, as it is printed."),
  changes: z.array(z.object({ what: z.string(), old: z.unknown(), new: z.unknown() })),
});

const entrySchema = itemSchema.extend({
  entry: z.string().describe("The entry's bytes, base64: what is hashed."),
  leafHash: z.string().describe("SHA-256 of a zero byte and the entry, base64 (RFC 6962 section 2.1)."),
});

const base64Hashes = z.array(z.string()).describe("SHA-256 each, base64, in the order of RFC 6962.");
const logNumber = z.int().describe("The site's logs are numbered from 1; one ends where the next begins.");
const checkpointSchema = z.object({
  size: z.int().describe("Leaves in the tree."),
  rootHash: z.string().describe("Base64."),
  note: z.string().describe("What was signed: take size and root from here, after verifying the signature with the signer's public key."),
});

const proofSchema = z.object({
  site: z.string(),
  position: z.int(),
  entry: z.string().nullable().describe("The entry's bytes, base64: what is hashed. null: it was disposed of, and its bytes are in the archive."),
  leafHash: z.string().describe("SHA-256 of a zero byte and the entry, base64."),
  log: logNumber,
  origin: z.string().describe("The log's name, as the checkpoint's first line has it."),
  index: z.int().describe("Which leaf of the log the entry is, from 0."),
  proof: base64Hashes.describe("The inclusion proof (RFC 6962 section 2.1.1), SHA-256 each, base64."),
  checkpoint: checkpointSchema.describe("The latest that covers the entry."),
  introductions: z
    .array(z.string())
    .describe(
      "Where the signer's key was replaced: the notes that introduced each next key, in order. Signed by the key before, they lead from the first public key to the one that signed.",
    ),
});

const consistencySchema = z.object({
  site: z.string(),
  log: logNumber,
  origin: z.string(),
  from: z.object({ size: z.int(), checkpoint: checkpointSchema.nullable().describe("null: none is kept of this size.") }),
  to: z.object({ size: z.int(), checkpoint: checkpointSchema.nullable().describe("null: none is kept of this size.") }),
  proof: base64Hashes.describe("The consistency proof (RFC 6962 section 2.1.2), SHA-256 each, base64; empty when the sizes are equal."),
});

const settingsSchema = z.strictObject({
  publishAfter: z.enum(["commit", "checkpoint"]).describe("checkpoint: topic, feed, stream and mirrors stop at what is signed."),
  unsignedLimit: z
    .int()
    .min(1_000)
    .max(1_000_000_000)
    .default(100_000)
    .describe("With checkpoint: so many positions are decided beyond what is signed, then deciding waits."),
  rotateAfter: z.int().min(1_000).max(1_000_000_000).default(10_000_000).describe("A log with so many entries ends, and the next one begins."),
});
const stateSchema = z.object({
  publishAfter: z.enum(["commit", "checkpoint"]),
  unsignedLimit: z.int(),
  rotateAfter: z.int(),
  position: z.int().describe("The last position."),
  signed: z.int().describe("Up to and with this position everything is signed."),
});

const part = z.string().min(1).max(256).optional();
const search = z.strictObject({
  site: plantId,
  batch: plantId.optional(),
  who: part.describe("Part of a name: of a person, a source, or signalbox."),
  what: part.describe("Part of an event's type, a command or an act."),
  why: part.describe("Part of a reason, or a code."),
  from: instantText.optional().describe("Recorded at or after."),
  to: instantText.optional().describe("Recorded before."),
  order: z.enum(TRAIL_ORDERS).default("when"),
  direction: z.enum(["asc", "desc"]).default("asc"),
  cursor: cursorText,
  limit: listLimit,
});
const at = z.strictObject({ site: plantId, position: positionNumber });
const treeSize = wholeNumber(1);

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
const checkpointView = ({ size, root, note }: NotedTree): z.infer<typeof checkpointSchema> => ({ size, rootHash: base64(root), note });

/** The problem with its remedy; `detail` says what lacks. */
const unproven = (code: "AUDIT_NOT_SIGNED" | "AUDIT_ALTERED", detail: string): Problem =>
  new Problem(409, code, detail, { remedy: REQUEST_CODES[code].remedy });

/** The audit trail: searched by who, what, when and why; each entry with the bytes that are proven. */
export function auditRoutes(scope: FastifyInstance, deps: RouteDeps): void {
  const app = scope.withTypeProvider<ZodTypeProvider>();
  const { db, own, recordAccess } = deps;

  app.get(
    "/v1/audit/entries",
    {
      schema: {
        operationId: "searchAudit",
        summary: "The audit trail of a site, by who, what, when and why",
        tags: ["audit"],
        querystring: search,
        response: { 200: json(page(itemSchema), "A page of entries, in the order asked for."), ...READ_PROBLEMS },
      },
    },
    async (request) => {
      const { cursor, limit, order, direction, ...asked } = request.query;
      const after = decodeCursor(cursor, z.tuple([z.string(), positionNumber]));
      const { site, ...wanted } = asked;
      const rows = await searchTrail(db, asked, order, direction, after === null ? null : { key: after[0], position: after[1] }, limit + 1);
      const { items, cursor: next } = pageOf(rows, limit, ({ key, position }) => [key, position]);
      await recordAccess(request, site, nameOf({ search: wanted }));
      return { items: items.map(({ entry }) => itemSchema.parse(trailItem(parseEntry(entry)))), cursor: next };
    },
  );

  app.get(
    "/v1/audit/sites/:site/checkpoint",
    {
      schema: {
        operationId: "getCheckpoint",
        summary: "The latest checkpoint of a site's audit log, a signed note",
        description: "As it is published, retained, on site/{site}/audit/checkpoint. Whoever keeps one can tell later whether the log was cut or rewritten.",
        tags: ["audit"],
        params: z.strictObject({ site: plantId }),
        response: { 200: text("text/plain", "The note."), ...READ_PROBLEMS },
      },
    },
    async (request, reply) => {
      const note = await readCheckpoint(db, request.params.site);
      if (note === null) throw notFound(`checkpoint of site ${request.params.site}`);
      return reply.type("text/plain; charset=utf-8").send(note);
    },
  );

  app.get(
    "/v1/audit/sites/:site",
    {
      schema: {
        operationId: "getAuditState",
        summary: "How far a site's record is signed, and what it shows",
        tags: ["audit"],
        params: z.strictObject({ site: plantId }),
        response: { 200: json(stateSchema, "How far it is signed."), ...READ_PROBLEMS },
      },
    },
    async (request) => {
      const state = await readAuditState(db, request.params.site);
      if (state === null) throw notFound(`site ${request.params.site}`);
      return state;
    },
  );
  app.put(
    "/v1/audit/sites/:site",
    {
      schema: {
        operationId: "putAuditSettings",
        summary: "Sets what a site shows: all that is committed, or only what is signed",
        tags: ["audit"],
        headers: reasonHeaders,
        params: z.strictObject({ site: plantId }),
        body: settingsSchema,
        response: { 200: json(stateSchema, "As it is set now."), ...BODY_PROBLEMS },
      },
    },
    async (request) => {
      const { site } = request.params;
      if (!(await putAuditSettings(own, site, request.body, attributionOf(request, site)))) throw notFound(`site ${site}`);
      const state = await readAuditState(db, site);
      if (state === null) throw new Error(`site ${site} was there and is gone`);
      return state;
    },
  );

  app.get(
    "/v1/audit/sites/:site/entries/:position",
    {
      schema: {
        operationId: "getAuditEntry",
        summary: "One entry of the audit log, in words and as the bytes that are hashed",
        tags: ["audit"],
        params: at,
        response: { 200: json(entrySchema, "The entry."), ...READ_PROBLEMS, ...GONE },
      },
    },
    async (request) => {
      const { site, position } = request.params;
      const entry = await readEntry(db, site, position);
      if (entry === null) await mustBeKept(db, site, position, `audit entry ${position}`);
      if (entry === null) throw notFound(`audit entry ${position} of site ${site}`);
      return entrySchema.parse({ ...trailItem(parseEntry(entry)), entry: entry.toString("base64"), leafHash: leafHash(entry).toString("base64") });
    },
  );

  const proofs = prover(db);
  app.get(
    "/v1/audit/sites/:site/entries/:position/proof",
    {
      schema: {
        operationId: "proveAuditEntry",
        summary: "That an entry is in the log as it was signed: its bytes, an inclusion proof, and the checkpoint",
        description:
          "Whoever has the signer's public key needs to trust nothing else here: verify the note's signature, make the leaf hash from the entry, and follow the proof to the root that the note says.",
        tags: ["audit"],
        params: at,
        response: { 200: json(proofSchema, "The entry with its proof."), ...PROOF_PROBLEMS },
      },
    },
    async (request) => {
      const { site, position } = request.params;
      const [entry, signed] = await Promise.all([readEntry(db, site, position), readSignedLog(db, site, { position })]);
      // of an entry that was disposed of its hash is kept
      const leaf = entry !== null ? leafHash(entry) : signed === null ? null : await readKeptLeaf(db, site, signed.log, position);
      if (leaf === null || signed === null) throw notFound(`audit entry ${position} of site ${site}`);
      const { log, ended, tree } = signed;
      const index = position - log.first;
      if (tree === null || index >= tree.size)
        throw unproven(
          "AUDIT_NOT_SIGNED",
          `Log ${log.log} of site ${site} is signed up to position ${log.first - 1 + (tree?.size ?? 0)}, entry ${position} stands behind that${ended ? ", and the log has ended" : ""}.`,
        );
      const proof = await proofs.inclusion(site, log, leaf, index, tree);
      if (proof === null)
        throw unproven("AUDIT_ALTERED", `Entry ${position} of site ${site} does not lead to the root that was signed of log ${log.log} at size ${tree.size}.`);
      const { log: number, origin } = log;
      return {
        site,
        position,
        entry: entry === null ? null : base64(entry),
        leafHash: base64(leaf),
        log: number,
        origin,
        index,
        proof: proof.map(base64),
        checkpoint: checkpointView(tree),
        introductions: [...(await readIntroductions(db, site, number))],
      };
    },
  );

  app.get(
    "/v1/audit/sites/:site/consistency",
    {
      schema: {
        operationId: "proveAuditConsistency",
        summary: "That a log at one size is the beginning of the same log at another: nothing was changed or cut off in between",
        description:
          "For whoever kept a checkpoint: `from` is its size, `log` the number at the end of its first line. Any two sizes of one log up to what is signed can be asked for. A log that has ended does not go on in the next one: the next begins with an entry that names what was signed of it.",
        tags: ["audit"],
        params: z.strictObject({ site: plantId }),
        querystring: z.strictObject({
          from: treeSize.describe("The size of the smaller tree."),
          to: treeSize.optional().describe("The size of the larger one; without it, that of the latest checkpoint."),
          log: wholeNumber(1)
            .optional()
            .describe("Which log: the number at the end of a checkpoint's first line. It may be left out while the site has one log."),
        }),
        response: { 200: json(consistencySchema, "The proof, with the checkpoints of both sizes as far as they are kept."), ...PROOF_PROBLEMS },
      },
    },
    async (request) => {
      const { site } = request.params;
      const { from, log: asked } = request.query;
      const signed = await readSignedLog(db, site, { log: asked });
      if (signed === null) throw notFound(asked === undefined ? `site ${site}` : `log ${asked} of site ${site}`);
      const { log, tree, ended } = signed;
      if (asked === undefined && log.log > 1)
        throw invalid(`Site ${site} has had ${log.log} logs, each a tree of its own: say by log= which one your checkpoint is of.`, [
          { pointer: "/log", detail: `is missing; it is the number at the end of the checkpoint's first line, as in ${log.origin}` },
        ]);
      const to = request.query.to ?? Math.max(from, tree?.size ?? 0);
      if (from > to) throw invalid("The tree at `from` is not larger than the one at `to`.", [{ pointer: "/from", detail: `is larger than ${to}` }]);
      if (tree === null || to > tree.size)
        throw unproven(
          "AUDIT_NOT_SIGNED",
          `Log ${log.log} of site ${site} is signed up to size ${tree?.size ?? 0}, not ${to}${ended ? ", and the log has ended" : ""}.`,
        );
      const [first, second] = await Promise.all([readNoted(db, site, log.log, from), to === tree.size ? tree : readNoted(db, site, log.log, to)]);
      const proof = await proofs.consistency(site, log, from, to, { first, second });
      if (proof === null)
        throw unproven("AUDIT_ALTERED", `Log ${log.log} of site ${site} at size ${to} does not begin with what was signed of it at size ${from}.`);
      return {
        site,
        log: log.log,
        origin: log.origin,
        from: { size: from, checkpoint: first === null ? null : checkpointView(first) },
        to: { size: to, checkpoint: second === null ? null : checkpointView(second) },
        proof: proof.map(base64),
      };
    },
  );
}
