import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import {
  type Answer,
  type Asked,
  bindDevice,
  ENDED_WHY,
  endSession,
  openSession,
  type Refusal,
  readSessions,
  readStations,
  registerStation,
  unbindDevice,
} from "../stations/stations.store.ts";
import { attributionOf } from "./attribution.http.ts";
import type { RouteDeps } from "./deps.ts";
import { personIn, roleIn } from "./guard.http.ts";
import { notFound, Problem } from "./problem.ts";
import { listSites } from "./reads.store.ts";
import { requestKeyOf, sayReplayed } from "./request-key.http.ts";
import {
  ACT_PROBLEMS,
  actHeaders,
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
  saying,
} from "./schemas.ts";

const openSessionSchema = z.object({
  session: z.int().describe("The position of the entry that tells of its opening."),
  person: z.string(),
  openedAt: z.string(),
  seenAt: z.string().describe("When something was last heard of the person or of a device."),
  idleAt: z.string().describe("When it ends of itself, unless something is heard before."),
});
const stationSchema = z.object({
  site: z.string(),
  station: z.string(),
  line: z.string(),
  title: z.string().nullable(),
  idleSeconds: z.int(),
  devices: z.array(z.string()).describe("The sources that are at it now."),
  session: openSessionSchema.nullable().describe("Who is at it now; null: nobody, and what its devices report is unattributed."),
});
const sessionSchema = z.object({
  session: z.int(),
  station: z.string(),
  person: z.string(),
  openedAt: z.string(),
  seenAt: z.string(),
  ended: z
    .object({ at: z.string(), why: z.enum(ENDED_WHY), by: z.string(), position: z.int() })
    .nullable()
    .describe("null: it goes on."),
});

/** Ten minutes: as long as somebody may stand at a scale without its saying anything. */
const IDLE_SECONDS = 600;
const definition = z.strictObject({
  line: plantId,
  title: saying(256).nullable().default(null),
  idleSeconds: z.int().min(30).max(43_200).default(IDLE_SECONDS).describe("How long nothing may be heard before a session is over."),
});
const ofDevice = z.strictObject({ source: z.string().min(1).max(512).describe("A registered source by its name: /site/rtm1/line/4/eq/scale-1.") });
const opening = z.strictObject({
  reason,
  takesOver: positionNumber.optional().describe("The session of another person that is open, and ends where this one begins."),
});

/** Stations, the devices that belong to them, and who is at them: by that, and by no message, it is found who performed what a device reports. */
export function stationRoutes(scope: FastifyInstance, { db: readable, own: db }: RouteDeps): void {
  const app = scope.withTypeProvider<ZodTypeProvider>();
  const ofSite = z.strictObject({ site: plantId });
  const ofStation = z.strictObject({ site: plantId, station: plantId });
  const tags = ["stations"];
  const askedBy = (request: FastifyRequest, { site, station }: z.infer<typeof ofStation>, why?: string): Asked => {
    const by = attributionOf(request, site);
    return { site, station, by: { ...by, reason: why ?? by.reason }, key: requestKeyOf(request) };
  };

  app.get(
    "/v1/sites/:site/stations",
    {
      schema: {
        operationId: "listStations",
        summary: "The stations of a site, with their devices and who is at them",
        tags,
        params: ofSite,
        response: { 200: json(z.object({ items: z.array(stationSchema) }), "By name."), ...READ_PROBLEMS },
      },
    },
    async (request) => {
      const { site } = request.params;
      if (!(await listSites(readable)).includes(site)) throw notFound(`site ${site}`);
      return { items: [...(await readStations(readable, site))].map((station) => stationSchema.parse(station)) };
    },
  );

  app.get(
    "/v1/sites/:site/stations/:station",
    {
      schema: {
        operationId: "getStation",
        summary: "A station, with its devices and who is at it",
        tags,
        params: ofStation,
        response: { 200: json(stationSchema, "The station."), ...READ_PROBLEMS },
      },
    },
    async (request) => {
      const { site, station } = request.params;
      const [found] = await readStations(readable, site, station);
      if (found === undefined) throw notFound(`station ${station} at site ${site}`);
      return stationSchema.parse(found);
    },
  );

  app.put(
    "/v1/sites/:site/stations/:station",
    {
      schema: {
        operationId: "putStation",
        summary: "Registers a station, or changes its title and its idle limit",
        description: "A session that is open keeps the limit under which it was opened.",
        tags,
        params: ofStation,
        headers: actHeaders,
        body: definition,
        response: { 200: json(stationSchema, "The station as it was, or changed."), 201: json(stationSchema, "The station, registered."), ...ACT_PROBLEMS },
      },
    },
    async (request, reply) => {
      const { fresh, station } = answered(reply, await registerStation(db, askedBy(request, request.params), request.body));
      reply.code(fresh ? 201 : 200);
      return stationSchema.parse(station);
    },
  );

  for (const [path, operationId, summary, act] of [
    [
      "/v1/sites/:site/stations/:station/devices",
      "bindDevice",
      "Brings a device to a station: from now on what it reports is done by whoever is at it",
      bindDevice,
    ],
    [
      "/v1/sites/:site/stations/:station/devices/removal",
      "unbindDevice",
      "Takes a device from a station: from now on what it reports is done by nobody in particular",
      unbindDevice,
    ],
  ] as const)
    app.post(
      path,
      {
        schema: {
          operationId,
          summary,
          description: "A device is at one station at most.",
          tags,
          params: ofStation,
          headers: actHeaders,
          body: ofDevice,
          response: { 200: json(stationSchema, "The station, with the devices that are at it now."), ...ACT_PROBLEMS },
        },
      },
      async (request, reply) => stationSchema.parse(answered(reply, await act(db, askedBy(request, request.params), request.body.source))),
    );

  app.get(
    "/v1/sites/:site/stations/:station/sessions",
    {
      schema: {
        operationId: "listSessions",
        summary: "Who was at a station, and when; the last one first",
        tags,
        params: ofStation,
        querystring: z.strictObject({ cursor: cursorText, limit: listLimit }),
        response: { 200: json(page(sessionSchema), "A page of sessions."), ...READ_PROBLEMS },
      },
    },
    async (request) => {
      const { site, station } = request.params;
      const { cursor, limit } = request.query;
      if ((await readStations(readable, site, station)).length === 0) throw notFound(`station ${station} at site ${site}`);
      const after = decodeCursor(cursor, z.tuple([positionNumber]));
      const { items, cursor: next } = pageOf(await readSessions(readable, request.params, after?.[0] ?? null, limit + 1), limit, ({ session }) => [session]);
      return { items: items.map((session) => sessionSchema.parse(session)), cursor: next };
    },
  );

  app.post(
    "/v1/sites/:site/stations/:station/sessions",
    {
      schema: {
        operationId: "openSession",
        summary: "Opens a session at a station as the person who asks, or goes on with the one that they have there",
        description:
          "Where somebody else is at the station, name their session in `takesOver`: it ends at the very instant at which this one begins. Only a person who has signed in opens one; a machine never does. Asked again under its Idempotency-Key it answers with the session that it opened or went on with, as that stands now; under another person's key it is refused (422).",
        tags,
        params: ofStation,
        headers: actHeaders,
        body: opening,
        response: { 200: json(sessionSchema, "The session."), ...ACT_PROBLEMS },
      },
    },
    async (request, reply) => {
      const { id } = personIn(request);
      const { reason: why, takesOver = null } = request.body;
      return sessionSchema.parse(answered(reply, await openSession(db, askedBy(request, request.params, why), id, takesOver)));
    },
  );

  app.post(
    "/v1/sites/:site/stations/:station/sessions/:session/end",
    {
      schema: {
        operationId: "endSession",
        summary: "Ends a session: one's own, or as a supervisor anybody's",
        tags,
        params: z.strictObject({ site: plantId, station: plantId, session: positionNumber }),
        headers: actHeaders,
        body: z.strictObject({ reason }),
        response: { 200: json(sessionSchema, "The session, ended; one that was over already is as it was."), ...ACT_PROBLEMS },
      },
    },
    async (request, reply) => {
      personIn(request);
      const { site, session } = request.params;
      const asked = askedBy(request, request.params, request.body.reason);
      return sessionSchema.parse(answered(reply, await endSession(db, asked, session, isSupervisor(request, site))));
    },
  );
}

/** The table of rights names the supervisor first: who is an operator too acts as the former. */
const isSupervisor = (request: FastifyRequest, site: string): boolean => roleIn(request, site) === "supervisor";

/** What came of a change; what was refused is thrown as the problem that it is. */
function answered<T>(reply: FastifyReply, answer: Answer<T>): T {
  if (answer.kind === "refused") throw problemOf(answer);
  if (answer.replayed) sayReplayed(reply);
  return answer.result;
}

function problemOf(refusal: Refusal): Problem {
  switch (refusal.because) {
    case "unknown":
      return notFound(refusal.what);
    case "line":
      return new Problem(409, "STATION_STATE", `The station is on line ${refusal.line}, for good; another line has stations of its own.`);
    case "bound":
      return new Problem(409, "STATION_STATE", `${refusal.source} is at station ${refusal.station}; it leaves that first.`);
    case "not bound":
      return new Problem(409, "STATION_STATE", `${refusal.source} is not at this station.`);
    case "taken": {
      const { person, session } = refusal.session;
      return new Problem(409, "STATION_TAKEN", `${person} is at the station, in session ${session}.`);
    }
    case "other":
      return new Problem(409, "STATION_STATE", "The session that is to be taken over is not open any more.");
    case "may not":
      return new Problem(403, "PER_NOT_AUTHORISED", `${refusal.person} may not perform at this site any more.`);
    case "not yours":
      return new Problem(403, "PER_NOT_AUTHORISED", `The session is ${refusal.person}'s: they end it themselves, or a supervisor does.`);
  }
}
