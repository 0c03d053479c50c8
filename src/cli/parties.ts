import { readFileSync, writeFileSync } from "node:fs";
import type { Db } from "../db/database.ts";
import { type Config, loadConfig } from "../ops/config.file.ts";
import { mosquittoPasswords, verifiersByUser } from "../parties/credentials.ts";
import { driftBetween, drifts, mosquittoAcl } from "../parties/mosquitto-acl.ts";
import { type ActiveParty, type InForce, readInForce, readRevisions } from "../parties/parties.store.ts";
import { sitesIn } from "../replay/recorded.store.ts";
import type { Call, Command, Described } from "./command.ts";
import { withDatabase } from "./own-database.ts";
import { Said } from "./said.ts";
import type { Terminal } from "./terminal.ts";

const SITE: Described = { type: "string", many: true, value: "SITE", help: "Only this site. Default: every site, as for a broker that serves them all." };
const OUT: Described = { type: "string", value: "FILE", help: "Where it goes. Default: standard output." };
const DATABASE_NOTE =
  "Reads the registry in DATABASE_URL, or in the embedded database in DATA_DIR. TOPIC_PREFIX stands before every topic, as for the service.";

export const partiesList: Command = {
  name: "parties list",
  summary: "Show who may do what at the broker, and what is on its way to be permitted.",
  positionals: [],
  options: { site: SITE },
  notes: ["A party is proposed, approved by another person, activated, reviewed and revoked over REST; docs/parties.md says how.", DATABASE_NOTE],
  examples: ["signalbox parties list", "DATABASE_URL=… signalbox parties list --site rtm1 --json"],
  exits: { done: "They are shown.", found: "They could not be read; the message says why." },
  async run(call, terminal) {
    const config = loadConfig(call.environment);
    const items = await withDatabase(config, async (db) => {
      const found = [];
      for (const site of sitesOf(call) ?? (await sitesIn(db))) found.push(...(await readRevisions(db, site)));
      return found;
    });
    if (call.flag("json")) terminal.out(JSON.stringify({ items }));
    else
      for (const { site, party, revision, kind, owner, state, may, proposed, approved } of items)
        terminal.out(
          `${site} ${party}@${revision}: ${kind} of ${owner}, ${state}, ${may.length} rights; proposed by ${proposed.by}${approved === null ? "" : `, approved by ${approved.by}`}`,
        );
    return 0;
  },
};

export const partiesAcl: Command = {
  name: "parties acl",
  summary: "Compile the registry of parties into mosquitto's acl_file.",
  positionals: [],
  options: { site: SITE, out: OUT },
  notes: ["The same registry gives the same bytes. mosquitto reads the file again on SIGHUP.", DATABASE_NOTE],
  examples: ["signalbox parties acl --out /etc/mosquitto/acl && pkill -HUP -x mosquitto"],
  exits: { done: "It is written.", found: "The registry could not be read, or the file not be written; the message says why." },
  async run(call, terminal) {
    const config = loadConfig(call.environment);
    const { parties, revision } = await inForce(config, call);
    const { text, sha256 } = mosquittoAcl(parties, config.topicPrefix, revision);
    give(call, terminal, text, { parties: parties.length, revision, sha256 });
    return 0;
  },
};

export const partiesPasswords: Command = {
  name: "parties passwords",
  summary: "Write what parties' passwords are held against, as mosquitto's password_file.",
  positionals: [],
  options: { site: SITE, out: OUT },
  notes: [
    "It holds no password: those are shown once, when they are issued. A party without one is not in it; it may have a certificate.",
    "mosquitto reads the file again on SIGHUP, and ends the connections of whoever is not in it any more.",
    DATABASE_NOTE,
  ],
  examples: ["signalbox parties passwords --out /etc/mosquitto/passwords && pkill -HUP -x mosquitto"],
  exits: { done: "It is written.", found: "The registry could not be read, or the file not be written; the message says why." },
  async run(call, terminal) {
    const { parties, revision } = await inForce(loadConfig(call.environment), call);
    const verifiers = verifiersByUser(parties);
    for (const user of new Set(parties.flatMap(({ party, verifier }) => (verifier !== null && verifiers.get(party) === null ? [party] : []))))
      terminal.err(`${user} is left out: its sites have not one credential for it. Whoever administers every site issues one, which is for all of them.`);
    give(call, terminal, mosquittoPasswords(parties), { parties: [...verifiers.values()].filter((one) => one !== null).length, revision });
    return 0;
  },
};

export const partiesDrift: Command = {
  name: "parties drift",
  summary: "Compare a broker's ACL file with the registry of parties, line by line.",
  positionals: [],
  options: { site: SITE, acl: { type: "string", value: "FILE", help: "The broker's acl_file. Default: MQTT_ACL_FILE." } },
  notes: [
    "Comments, blanks and order are no drift; every statement that is more (+) or less (-) than the registry is named.",
    "The running service does the same every few seconds where MQTT_ACL_FILE is set.",
    DATABASE_NOTE,
  ],
  examples: ["signalbox parties drift --acl /etc/mosquitto/acl"],
  exits: { done: "The file says what the registry says.", found: "It does not; each line that is more or less is named. Or one of the two could not be read." },
  async run(call, terminal) {
    const config = loadConfig(call.environment);
    const path = call.text("acl") ?? config.mqttAclFile;
    if (path === null) throw new Said("Say which file: --acl FILE.", 2);
    const broker = readOr(path);
    const { parties, revision } = await inForce(config, call);
    const drift = driftBetween(mosquittoAcl(parties, config.topicPrefix, revision).text, broker);
    if (call.flag("json")) terminal.out(JSON.stringify({ acl: path, revision, ...drift }));
    else {
      for (const line of drift.more) terminal.out(`+ ${line}`);
      for (const line of drift.less) terminal.out(`- ${line}`);
      terminal.err(
        drifts(drift)
          ? `${path} is not what the registry says (${revision}): ${drift.more.length} lines more, ${drift.less.length} less.`
          : `${path} says what the registry says (${revision}).`,
      );
    }
    return drifts(drift) ? 1 : 0;
  },
};

const sitesOf = (call: Call): readonly string[] | null => (call.texts("site").length === 0 ? null : call.texts("site"));

/** What the broker must enforce now; a site that there is not is a mistake, and no empty file. */
const inForce = (config: Config, call: Call): Promise<InForce & { readonly parties: readonly ActiveParty[] }> =>
  withDatabase(config, async (db: Db) => {
    const asked = sitesOf(call);
    const there = await sitesIn(db);
    for (const site of asked ?? []) if (!there.includes(site)) throw new Said(`There is no site ${site}.`);
    return readInForce(db, asked, Date.now());
  });

function give(call: Call, terminal: Terminal, text: string, about: Readonly<Record<string, unknown>>): void {
  const out = call.text("out");
  if (out !== undefined) {
    try {
      writeFileSync(out, text, { mode: 0o640 });
    } catch (error) {
      throw new Said(`${out} cannot be written: ${error instanceof Error ? error.message : error}`);
    }
  }
  if (call.flag("json")) terminal.out(JSON.stringify({ ...about, ...(out === undefined ? { text } : { out }) }));
  else if (out === undefined) terminal.out(text.trimEnd());
  else terminal.err(`${out} is written.`);
}

function readOr(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new Said(`${path} cannot be read: ${error instanceof Error ? error.message : error}`);
  }
}
