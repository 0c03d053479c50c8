import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { loadConfig } from "../ops/config.file.ts";
import { type Command, URL_OPTION } from "./command.ts";
import { type Document, KINDS, type Planned, plan } from "./registry-plan.ts";
import { problemInWords, type Rest, restAt } from "./rest.fetch.ts";
import { Said } from "./said.ts";
import { readJsonFile } from "./state-machine-check.ts";
import type { Terminal } from "./terminal.ts";

export interface Applied {
  readonly file: string;
  readonly name: string | null;
  readonly result: "registered" | "unchanged" | "refused" | "would be put";
  readonly reason: string | null;
}

const answerSchema = z.looseObject({ result: z.enum(["registered", "unchanged"]), inForce: z.boolean() });

/** Of what a person registers where people are asked who they are. */
const AWAITS_APPROVAL = "awaits the approval of another person";

export const registryApply: Command = {
  name: "registry apply",
  summary: "Register the equipment, sources, recipes and state machines of a directory.",
  positionals: ["DIR"],
  options: {
    url: URL_OPTION,
    site: { type: "string", value: "SITE", help: "Site of equipment whose file names none." },
    "dry-run": { type: "boolean", help: "Only say what would be put where; ask nothing." },
  },
  notes: [
    "Reads equipment/*.json, sources/*.json, recipes/*.json and state-machines/*.json below DIR.",
    "Applying a directory again changes nothing; a published revision never changes, so other content under its number is refused.",
  ],
  examples: ["signalbox registry apply examples/plant", "signalbox registry apply plant --site rtm1 --dry-run"],
  exits: { done: "Everything is registered.", found: "Something was refused, and the others were applied; or a file could not be read, and nothing was." },
  async run(call, terminal) {
    const [directory = ""] = call.positionals;
    const documents = readDocuments(directory);
    const rest = call.flag("dry-run") ? null : restAt(call.text("url") ?? "", loadConfig(call.environment).token);
    const applied = await apply(documents, call.text("site") ?? null, rest, call.flag("json") ? null : terminal);
    if (call.flag("json")) terminal.out(JSON.stringify({ applied }));
    const refused = applied.filter(({ result }) => result === "refused").length;
    if (refused > 0) terminal.err(`${refused} of ${applied.length} refused.`);
    return refused === 0 ? 0 : 1;
  },
};

/** The documents of a directory, in the order in which they can be registered. Throws Said where there is nothing to read. */
export function readDocuments(directory: string): Document[] {
  if (!existsSync(directory) || !statSync(directory).isDirectory()) throw new Said(`${directory} is no directory.`, 2);
  const documents = KINDS.flatMap((kind) => {
    const below = join(directory, kind);
    if (!existsSync(below)) return [];
    const files = readdirSync(below)
      .filter((name) => name.endsWith(".json"))
      .sort();
    return files.map((name): Document => ({ kind, file: `${kind}/${name}`, content: readJsonFile(join(below, name)) }));
  });
  if (documents.length === 0) throw new Said(`${directory} has none of ${KINDS.map((kind) => `${kind}/*.json`).join(", ")}.`, 2);
  return documents;
}

/** Registers documents one after the other, and tells of each; without a service it only says what it would do. */
export async function apply(documents: readonly Document[], site: string | null, rest: Rest | null, terminal: Terminal | null): Promise<Applied[]> {
  const applied: Applied[] = [];
  for (const document of documents) {
    const done = await applyOne(plan(document, site), rest);
    applied.push(done);
    const colour = done.result === "refused" ? "red" : done.result === "registered" ? "green" : "dim";
    terminal?.out(`${terminal.paint(colour, done.result.padEnd(10))}  ${done.name ?? done.file}${done.reason === null ? "" : `: ${done.reason}`}`);
  }
  return applied;
}

async function applyOne(planned: Planned, rest: Rest | null): Promise<Applied> {
  const { file } = planned;
  if (planned.kind === "refused") return { file, name: null, result: "refused", reason: planned.reason };
  const { name, path, body } = planned;
  if (rest === null) return { file, name, result: "would be put", reason: `PUT ${path}` };
  const answer = await rest.ask("PUT", path, body);
  if (!answer.ok) return { file, name, result: "refused", reason: problemInWords(answer.problem) };
  const { result, inForce } = answerSchema.parse(answer.body);
  return { file, name, result, reason: inForce ? null : AWAITS_APPROVAL };
}
