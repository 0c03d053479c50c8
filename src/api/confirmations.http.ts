import type { FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { COUNTED, type Confirmation, confirmOutcomes, readConfirmations, readHandedOut } from "../publish/confirmations.store.ts";
import type { RouteDeps } from "./deps.ts";
import { machineIn } from "./guard.http.ts";
import { notFound, Problem } from "./problem.ts";
import { listSites, readStanding } from "./reads.store.ts";
import { CONFIRMATION_PROBLEMS, generationNumber, json, plantId, positionNumber, READ_PROBLEMS } from "./schemas.ts";
import { mustStand } from "./standing.ts";

const PATH = "/v1/sites/:site/outcomes/confirmation";

const confirmationSchema = z.object({
  by: z.string().describe("The machine that confirms, also one that may not ask any more."),
  generation: z.int().describe("Of the record when it was confirmed."),
  position: z.int().describe("All outcomes up to here were taken over; after a restore, as far as they still stand."),
  at: z.string(),
  behind: z.int().describe(`How many outcomes have been handed out behind it; ${COUNTED} stands for so many or more.`),
});
const view = ({ machine, ...rest }: Confirmation): z.infer<typeof confirmationSchema> => ({ by: `machine:${machine}`, ...rest });

/** That an MES has taken outcomes over, by its own word: whoever looks sees who is behind. Nothing is decided on it. */
export function confirmationRoutes(scope: FastifyInstance, { db: readable, own: db }: RouteDeps): void {
  const app = scope.withTypeProvider<ZodTypeProvider>();
  const params = z.strictObject({ site: plantId });
  const tags = ["outcomes"];
  const known = async (site: string): Promise<void> => {
    if (!(await listSites(readable)).includes(site)) throw notFound(`site ${site}`);
  };

  app.get(
    PATH,
    {
      schema: {
        operationId: "listConfirmations",
        summary: "How far each MES has taken the outcomes over, by its own word",
        tags,
        params,
        response: {
          200: json(
            z.object({ items: z.array(confirmationSchema), handedOut: z.int().describe("Outcomes are handed out up to here.") }),
            "By name of the machine.",
          ),
          ...READ_PROBLEMS,
        },
      },
    },
    async (request) => {
      const { site } = request.params;
      await known(site);
      return { items: (await readConfirmations(readable, site)).map(view), handedOut: await readHandedOut(readable, site) };
    },
  );

  app.put(
    PATH,
    {
      schema: {
        operationId: "confirmOutcomes",
        summary: "Says that all outcomes of the site up to a position have been taken over",
        description:
          "Said again it changes nothing. It never goes back, and never beyond what is handed out; a refusal says with `after` up to where it may go on from. It is no act: nothing of the record changes by it.",
        tags,
        params,
        body: z.strictObject({ position: positionNumber, generation: generationNumber }),
        response: { 200: json(confirmationSchema, "What this machine has confirmed."), ...CONFIRMATION_PROBLEMS },
      },
    },
    async (request) => {
      const { id } = machineIn(request);
      const { site } = request.params;
      const { position, generation: of } = request.body;
      await known(site);
      const { generation, head, stands } = await readStanding(db, site, of);
      mustStand(position, of, { generation, stands, last: head });
      const handedOut = await readHandedOut(db, site);
      // less is handed out than was where a site begins to publish only what is signed; what was confirmed before stays, and may be said again
      const now = position > handedOut ? (await readConfirmations(db, site, id))[0] : await confirmOutcomes(db, site, id, generation, position);
      if (now === undefined || now.position < position) throw tooFar(generation, handedOut);
      if (now.position > position) throw goesBack(generation, now.position);
      return view(now);
    },
  );
}

const tooFar = (generation: number, handedOut: number): Problem =>
  new Problem(409, "CONFIRMATION_TOO_FAR", `Outcomes of this site are handed out up to position ${handedOut}, and none behind it.`, {
    generation,
    after: handedOut,
  });

const goesBack = (generation: number, confirmed: number): Problem =>
  new Problem(409, "CONFIRMATION_GOES_BACK", `You have confirmed the outcomes up to position ${confirmed} already.`, { generation, after: confirmed });
