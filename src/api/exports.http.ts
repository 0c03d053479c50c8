import { Readable } from "node:stream";
import type { FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import type { Attribution } from "../audit/act.store.ts";
import { readSignedLog } from "../audit/proofs.store.ts";
import { type RequestKey, readAnswer } from "../audit/request-key.store.ts";
import { readChosen, TreeTorn } from "../bundle/chosen.store.ts";
import { type Exported, ExportedMeanwhile, handOut, NothingToExport, recordExport, TooMuchToExport, untilSigned } from "../bundle/export.store.ts";
import type { Chosen, Selection } from "../bundle/manifest.ts";
import { passingTar } from "../bundle/passing-tar.file.ts";
import { type About, csvCopy, htmlCopy, NotAnEntry } from "../bundle/reading-copy.ts";
import { PAGE_POLICY } from "../bundle/record-html.ts";
import { writeBundle } from "../bundle/write-bundle.ts";
import { databaseNow } from "../commit/shard.store.ts";
import type { Db } from "../db/database.ts";
import { atMost } from "./at-most.ts";
import { attributionOf } from "./attribution.http.ts";
import { REQUEST_CODES, type RequestCode } from "./codes.ts";
import type { RouteDeps } from "./deps.ts";
import { whileAllowed } from "./handing-out.http.ts";
import { invalid, Problem } from "./problem.ts";
import { REPLAYED, requestKeyOf, sayReplayed } from "./request-key.http.ts";
import { ACT_PROBLEMS, idempotencyHeaders, instantText, plantId, reason } from "./schemas.ts";

/** Entries that are handed out at once. */
const MOST = 100_000;
/** How long a bundle waits until the entry by which it is on record is signed; a signer that is there takes a second. */
const SIGNED_WITHIN_MS = 10_000;

const part = z.string().min(1).max(256).optional();
const exportSchema = z.strictObject({
  site: plantId,
  batch: plantId.optional().describe("Everything that changed the record of this batch."),
  positions: z
    .strictObject({ from: z.int().min(1), to: z.int().min(1) })
    .refine(({ from, to }) => from <= to, { message: "lies before `from`", path: ["to"] })
    .optional()
    .describe("Or all entries from one position to another."),
  search: z
    .strictObject({ batch: plantId.optional(), who: part, what: part, why: part, from: instantText.optional(), to: instantText.optional() })
    .optional()
    .describe("Or what a search finds, as at GET /v1/audit/entries; nothing proves that it is all, so it makes no bundle."),
  format: z
    .enum(["html", "csv", "bundle"])
    .describe("html and csv are to be read; a bundle is a tar of what proves it too, for npx signalbox verify --bundle."),
  reason,
});

const file = z.custom<Readable>((value) => value instanceof Readable).meta({ type: "string" });

/** Copies of the audit trail to be taken away. Each is on record before its first byte goes out. */
export function exportRoutes(scope: FastifyInstance, { own: db, log, askAgain }: RouteDeps): void {
  const app = scope.withTypeProvider<ZodTypeProvider>();
  app.post(
    "/v1/audit/exports",
    {
      schema: {
        operationId: "exportAudit",
        summary: "Hands out a batch's entries, a range of them, or what a search finds: as a page, as a table, or with what proves them",
        description:
          "The export is an entry of the log itself, at `location`: who, why, what was chosen, how many entries there were, the digest over them, and of html and csv the SHA-256 of the file (`repr-digest`). Asked again under the same Idempotency-Key it is not recorded again: the file is made anew of the same entries. A file breaks off before its end when whoever takes it may not have it any more: their key was revoked or has ended, they were deactivated, their role was taken, or they signed out.",
        tags: ["audit"],
        headers: idempotencyHeaders,
        body: exportSchema,
        response: {
          201: {
            description: "The file.",
            headers: {
              location: { type: "string", description: "The entry by which the export is on record." },
              "content-disposition": { type: "string", description: "The name of the file." },
              "repr-digest": { type: "string", description: "Of html and csv: SHA-256 of the file, as its entry says it too (RFC 9530)." },
              ...REPLAYED,
            },
            content: { "text/html": { schema: file }, "text/csv": { schema: file }, "application/x-tar": { schema: file } },
          },
          ...ACT_PROBLEMS,
        },
      },
    },
    async (request, reply) => {
      const { site, format, reason: why } = request.body;
      const of = selectionIn(request.body);
      const by = { ...attributionOf(request, site), reason: why };
      const asked = requestKeyOf(request);
      const gone = new AbortController();
      reply.raw.once("close", () => gone.abort());
      const make = async (): Promise<Going & { readonly replayed: boolean }> => {
        const before = await readAnswer(db, site, asked);
        const replayed = before === null ? null : { ...answerSchema.parse(before.answer), position: before.position };
        const going = await (format === "bundle" ? bundle(db, site, of, by, asked, replayed, gone.signal) : copy(db, site, of, format, by, asked, replayed));
        return { ...going, replayed: replayed !== null };
      };
      const { made, type, stream, bytes, replayed } = await make()
        .catch((error: unknown) => (error instanceof ExportedMeanwhile ? make() : Promise.reject(error)))
        .catch(refusal);
      if (replayed) sayReplayed(reply);
      if (bytes !== null) void reply.header("content-length", bytes);
      // the pieces are given back with the stream that takes them, also when the first was never asked for
      const allowed = Readable.from(whileAllowed(askAgain, request, site, stream), { objectMode: false });
      allowed.once("close", () => stream.destroy());
      allowed.once("error", (error) => {
        if (error instanceof Problem)
          log.info({ site, position: made.position, code: error.document.code }, "an export was broken off: whoever took it may not have it any more");
        else if (!gone.signal.aborted) log.error({ err: error, site, position: made.position }, "an export broke off");
      });
      const name = `signalbox-${site}-${"batch" in of ? of.batch : made.position}`.replaceAll(":", "_");
      void reply
        .code(201)
        .type(type)
        .header("location", `/v1/audit/sites/${site}/entries/${made.position}`)
        .header("content-disposition", `attachment; filename="${name}.${format === "bundle" ? "tar" : format}"`);
      if (made.sha256 !== null) void reply.header("repr-digest", `sha-256=:${Buffer.from(made.sha256, "hex").toString("base64")}:`);
      if (format === "html") void reply.header("content-security-policy", PAGE_POLICY);
      return reply.send(allowed);
    },
  );
}

/** What an export was answered with under its key: what it takes to hand out the same again. */
const answerSchema = z.object({
  made: z.object({ entries: z.int(), digest: z.string(), sha256: z.string().nullable(), through: z.int() }),
  about: z.object({ at: z.string(), signed: z.object({ origin: z.string(), size: z.int(), root: z.string() }).nullable() }).nullable(),
});
type Before = z.infer<typeof answerSchema> & { readonly position: number };
const madeBefore = ({ made, position }: Before): Exported => ({ ...made, position });

interface Going {
  readonly made: Exported;
  readonly type: string;
  readonly stream: Readable;
  /** null: that is not known before it has gone out. */
  readonly bytes: number | null;
}

async function copy(
  db: Db,
  site: string,
  of: Selection,
  format: "html" | "csv",
  by: Attribution,
  asked: RequestKey | null,
  before: Before | null,
): Promise<Going> {
  const about = before?.about ?? { at: await databaseNow(db), signed: await signedNow(db, site) };
  const written = format === "html" ? htmlCopy({ site, of, by: by.actor, reason: by.reason ?? "", ...about }) : csvCopy(of);
  const under = asked === null ? null : { asked, about };
  const made = before === null ? await recordExport(db, site, of, { form: format, copy: written, most: MOST, under }, by) : madeBefore(before);
  const type = format === "html" ? "text/html; charset=utf-8" : "text/csv; charset=utf-8; header=present";
  return { made, type, stream: Readable.from(handOut(db, site, of, written, made), { objectMode: false }), bytes: null };
}

async function signedNow(db: Db, site: string): Promise<About["signed"]> {
  const signed = await readSignedLog(db, site, {});
  return signed?.tree == null ? null : { origin: signed.log.origin, size: signed.tree.size, root: signed.tree.root.toString("base64") };
}

/** A bundle is written before it goes out, so that no connection is held while whoever takes it is slow. Little of it is in memory. */
async function bundle(
  db: Db,
  site: string,
  of: Selection,
  by: Attribution,
  asked: RequestKey | null,
  before: Before | null,
  gone: AbortSignal,
): Promise<Going> {
  if (!isChosen(of))
    throw invalid("A bundle is of a batch or of a range of positions: nothing proves that what a search finds is all.", [
      { pointer: "/search", detail: "makes no bundle" },
    ]);
  const signed = await readSignedLog(db, site, {});
  if (signed?.tree === null) throw refused("AUDIT_NOT_SIGNED", `Nothing of log ${signed.log.log} of site ${site} is signed, so nothing of it can be proven.`);
  const under = asked === null ? null : { asked, about: null };
  const made = before === null ? await recordExport(db, site, of, { form: "bundle", most: MOST, under }, by) : madeBefore(before);
  if (!(await untilSigned(db, site, made.position, SIGNED_WITHIN_MS, gone)))
    throw refused(
      "AUDIT_NOT_SIGNED",
      `The export is on record at position ${made.position}, and that was not signed within ${SIGNED_WITHIN_MS / 1000} s; nothing was handed out.`,
    );
  const { folder, size, pieces, discard } = passingTar(`signalbox-${site}-${made.position}`, gone);
  try {
    await inTurn(() => readChosen(db, site, of, made, (record) => writeBundle(folder, site, of, made, record)));
  } catch (error) {
    await discard();
    throw error;
  }
  const stream = Readable.from(pieces(), { objectMode: false });
  // also when whoever asked is gone before the first byte
  stream.once("close", () => void discard().catch(() => {}));
  return { made, type: "application/x-tar", stream, bytes: await size() };
}

/** A bundle holds a connection for as long as it is written: two at a time, the others wait. */
const inTurn = atMost(2);

const isChosen = (of: Selection): of is Chosen => !("search" in of);

function selectionIn({ batch, positions, search }: z.infer<typeof exportSchema>): Selection {
  const given: readonly Selection[] = [
    ...(batch === undefined ? [] : [{ batch }]),
    ...(positions === undefined ? [] : [positions]),
    ...(search === undefined ? [] : [{ search }]),
  ];
  const [of, more] = given;
  if (of === undefined || more !== undefined)
    throw invalid("Say what to export: batch, positions, or search.", [{ pointer: "", detail: "has none or several of batch, positions and search" }]);
  return of;
}

const refused = (code: RequestCode, detail: string): Problem => new Problem(409, code, detail, { remedy: REQUEST_CODES[code].remedy });

function refusal(error: unknown): never {
  if (error instanceof NothingToExport) throw new Problem(404, "NOT_FOUND", error.message);
  if (error instanceof TooMuchToExport) throw refused("EXPORT_TOO_LARGE", error.message);
  if (error instanceof NotAnEntry || error instanceof TreeTorn) throw refused("AUDIT_ALTERED", error.message);
  throw error;
}
