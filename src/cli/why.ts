import { z } from "zod";
import { loadConfig } from "../ops/config.file.ts";
import { type Command, URL_OPTION } from "./command.ts";
import { problemInWords, type Rest, restAt } from "./rest.fetch.ts";
import { Said } from "./said.ts";
import { story } from "./story.ts";
import { type VerdictData, verdictSchema } from "./verdict-data.ts";

const pageSchema = z.looseObject({ items: z.array(verdictSchema), cursor: z.string().nullish() });
const eventSchema = z.looseObject({
  receivedAt: z.string().nullish(),
  rounds: z.array(verdictSchema),
  outcomes: z.array(z.looseObject({ type: z.string() })),
});

export const why: Command = {
  name: "why",
  summary: "Tell the story of one event: what was decided, why, and what to do next.",
  positionals: ["SOURCE", "ID"],
  options: { url: URL_OPTION },
  notes: ["SOURCE is the event's source as it names itself, /site/{s}/line/{l}/eq/{e}[/device/{d}]; ID is the event's id."],
  examples: ["signalbox why /site/rtm1/line/4/eq/scale-1 s1-7-41"],
  exits: { done: "The event is on record; its story is told.", found: "No such event is on record, or the service does not answer." },
  async run(call, terminal) {
    const [source = "", id = ""] = call.positionals;
    const rest = restAt(call.text("url") ?? "", loadConfig(call.environment).token);
    const full = source.startsWith("/") ? source : `/${source}`;
    const found = await verdictsOf(rest, full, id);
    const told = [...new Set(found.map(firstRound))];
    if (told.length === 0) {
      if (call.flag("json")) terminal.out(JSON.stringify({ source: full, id, events: [] }));
      throw new Said(
        `No event ${id} of ${full} is on record. Look for it with "signalbox tail", ask GET /v1/sources for what the source lacks, and check that source and id are as the device writes them.`,
      );
    }
    const events = [];
    for (const verdict of told) events.push(await ask(rest, `/v1/events/${encodeURIComponent(verdict)}`, z.unknown()));
    if (call.flag("json")) {
      terminal.out(JSON.stringify({ source: full, id, events }));
      return 0;
    }
    events.forEach((event, index) => {
      const { receivedAt, rounds, outcomes } = eventSchema.parse(event);
      const lines = story(
        rounds.map((verdict) => ({ verdict, time: verdict.round === 1 ? (receivedAt ?? null) : null })),
        outcomes.map(({ type }) => type),
        terminal.paint,
      );
      if (index > 0) terminal.out(`\nIt arrived again${events.length > 2 ? `, ${index} of ${events.length - 1}` : ""}:\n`);
      for (const line of lines) terminal.out(line);
    });
    return 0;
  },
};

/** The verdict id of the first round of the event that a round belongs to. */
export const firstRound = (verdict: VerdictData): string => verdict.firstRound ?? verdict.verdict;

async function verdictsOf(rest: Rest, source: string, id: string): Promise<VerdictData[]> {
  const found: VerdictData[] = [];
  let cursor: string | null = null;
  do {
    const query = new URLSearchParams({ source, id, ...(cursor === null ? {} : { cursor }) });
    const page: z.infer<typeof pageSchema> = await ask(rest, `/v1/events?${query}`, pageSchema);
    found.push(...page.items);
    cursor = page.cursor ?? null;
  } while (cursor !== null && found.length < 1000);
  return found;
}

export async function ask<T>(rest: Rest, path: string, shape: z.ZodType<T>): Promise<T> {
  const answer = await rest.ask("GET", path);
  if (!answer.ok) throw new Said(`The service refused GET ${path.split("?")[0]}: ${problemInWords(answer.problem)}.`);
  const parsed = shape.safeParse(answer.body);
  if (!parsed.success) throw new Said(`The service answered GET ${path.split("?")[0]} in a way that this version does not know.`);
  return parsed.data;
}
