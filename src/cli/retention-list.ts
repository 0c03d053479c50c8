import type { Db } from "../db/database.ts";
import { loadConfig } from "../ops/config.file.ts";
import { sitesIn } from "../replay/recorded.store.ts";
import { readDisposals } from "../retention/disposed.store.ts";
import { type LegalHold, readHolds, readKeptDays } from "../retention/holds.store.ts";
import { type Part, partText, RETENTION_CLASSES, type SitePart } from "../retention/part.ts";
import { listParts } from "../retention/parts.store.ts";
import type { Command } from "./command.ts";
import { withOwner } from "./own-database.ts";
import { withOwnerAlone } from "./owner-alone.ts";
import { OWNER_NOTE } from "./retention.ts";

export const retentionList: Command = {
  name: "retention list",
  summary: "Show what is kept, until when, and what stands in the way of disposing of it.",
  positionals: [],
  options: {},
  notes: [
    "A partition holds what all sites have in it, and goes as a whole: 1,000,000 positions, or the batches that were opened in a month.",
    "Legal holds and disposals are shown with the positions at which they are on record.",
    OWNER_NOTE,
  ],
  examples: ["DATABASE_OWNER_URL=… signalbox retention list", "signalbox retention list --json"],
  exits: { done: "It is shown.", found: "It could not be read; the message says why." },
  async run(call, terminal) {
    const kept = await withOwner(loadConfig(withOwnerAlone(call.environment)), readKept);
    if (call.flag("json")) terminal.out(JSON.stringify(kept));
    else for (const line of told(kept)) terminal.out(line);
    return 0;
  },
};

async function readKept(db: Db) {
  const parts = await listParts(db);
  const sites = [];
  for (const site of await sitesIn(db)) {
    const keepDays: Record<string, number> = {};
    for (const name of RETENTION_CLASSES) keepDays[name] = await readKeptDays(db, site, name);
    sites.push({ site, keepDays, holds: await readHolds(db, site), disposals: await readDisposals(db, site) });
  }
  return { parts, sites };
}

function told({ parts, sites }: Awaited<ReturnType<typeof readKept>>): readonly string[] {
  return [
    ...parts.flatMap((part) => [`${partText(part)}: ${boundsOf(part)}`, ...part.sites.flatMap(siteLines)]),
    ...sites.flatMap(({ site, keepDays, holds, disposals }) => [
      `Site ${site} keeps ${RETENTION_CLASSES.map((name) => `${name} ${keepDays[name]} days`).join(", ")}.`,
      ...holds.map(holdLine),
      ...disposals.map(
        ({ disposal, class: name, part, from, to, by, at, reason }) =>
          `  Disposed of: ${name}/${part}, positions ${from} to ${to}, by ${by} at ${at} (entry ${disposal}): ${reason}`,
      ),
    ]),
  ];
}

const boundsOf = ({ class: name, low, high }: Part): string =>
  name === "positions" ? `positions ${low} to ${Number(high) - 1}` : `batches opened from ${low} to before ${high}`;

const siteLines = ({ site, from, to, newest, due, obstacles }: SitePart): readonly string[] => [
  `  ${site}: positions ${from} to ${to}, last touched ${newest}, due ${due}${obstacles.length === 0 ? "; nothing stands in the way" : ""}`,
  ...obstacles.map(({ detail }) => `    ${detail}`),
];

const holdLine = ({ hold, batch, from, to, by, at, reason, released }: LegalHold): string =>
  `  Legal hold ${hold} on ${batch !== null ? `batch ${batch}` : from !== null ? `positions ${from} to ${to}` : "all of the site"}, by ${by} at ${at}: ${reason}${
    released === null ? "" : `; released at position ${released.position} by ${released.by}: ${released.reason}`
  }`;
