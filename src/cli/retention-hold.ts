import { loadConfig } from "../ops/config.file.ts";
import { type Held, placeHold, releaseHold, setKeptDays } from "../retention/holds.store.ts";
import { RETENTION_CLASSES } from "../retention/part.ts";
import type { Call, Command } from "./command.ts";
import { withOwner } from "./own-database.ts";
import { withOwnerAlone } from "./owner-alone.ts";
import { BY, byOf, OWNER_NOTE, saying, siteOf } from "./retention.ts";
import { Said } from "./said.ts";

const RANGE = /^([1-9]\d{0,14})-([1-9]\d{0,14})$/;
const NUMBER = /^[1-9]\d{0,14}$/;
const DAYS = /^[1-9]\d{0,5}$/;

const SITE = { type: "string", value: "SITE", help: "The site." } as const;

export const retentionHold: Command = {
  name: "retention hold",
  summary: "Place a legal hold: nothing of what it names is disposed of until it is released.",
  positionals: [],
  options: {
    site: SITE,
    batch: { type: "string", value: "BATCH", help: "Only what tells of this batch." },
    positions: { type: "string", value: "A-B", help: "Only what stands at positions A to B." },
    ...BY,
  },
  notes: ["Without --batch and --positions all of the site is held.", OWNER_NOTE],
  examples: ['DATABASE_OWNER_URL=… signalbox retention hold --site rtm1 --batch B-1042 --reason "claim 2026-17"'],
  exits: { done: "It is held; the number of the hold is printed.", found: "There is no such site or batch." },
  run: saying(async (call, terminal) => {
    const [site, held, by] = [siteOf(call), heldIn(call), byOf(call, "retention hold")];
    const hold = await withOwner(loadConfig(withOwnerAlone(call.environment)), (db) => placeHold(db, site, held, by));
    terminal.out(call.flag("json") ? JSON.stringify({ site, hold }) : `Legal hold ${hold} of site ${site} is on record.`);
    return 0;
  }),
};

export const retentionRelease: Command = {
  name: "retention release",
  summary: "Release a legal hold.",
  positionals: ["HOLD"],
  options: { site: SITE, ...BY },
  notes: ["HOLD is the number that placing it has given, and that `signalbox retention list` shows.", OWNER_NOTE],
  examples: ['DATABASE_OWNER_URL=… signalbox retention release 1207 --site rtm1 --reason "claim settled"'],
  exits: { done: "It is released.", found: "There is no such hold, or it was released before." },
  run: saying(async (call, terminal) => {
    const [site, by, number] = [siteOf(call), byOf(call, "retention release"), call.positionals[0] ?? ""];
    if (!NUMBER.test(number)) throw new Said("HOLD is the number of a hold.", 2);
    const position = await withOwner(loadConfig(withOwnerAlone(call.environment)), (db) => releaseHold(db, site, Number(number), by));
    terminal.out(
      call.flag("json")
        ? JSON.stringify({ site, hold: Number(number), position })
        : `Legal hold ${number} of site ${site} was released at position ${position}.`,
    );
    return 0;
  }),
};

export const retentionKeep: Command = {
  name: "retention keep",
  summary: "Set for how many days a class of records is kept at least.",
  positionals: ["CLASS", "DAYS"],
  options: { site: SITE, ...BY },
  notes: [
    "CLASS is positions (what was received and decided, with its entries) or batches (facts and outcomes of batches, by the month in which they were opened).",
    "Counted from the last entry, and from the closing of the last batch, of which a partition tells. Where nobody has set it: 3653, ten years.",
    OWNER_NOTE,
  ],
  examples: ['DATABASE_OWNER_URL=… signalbox retention keep positions 4383 --site rtm1 --reason "SOP-12: twelve years"'],
  exits: { done: "It is set.", found: "There is no such site." },
  run: saying(async (call, terminal) => {
    const [site, by, [asked, days = ""]] = [siteOf(call), byOf(call, "retention keep"), call.positionals];
    const name = RETENTION_CLASSES.find((one) => one === asked);
    if (name === undefined || !DAYS.test(days)) throw new Said(`Say ${RETENTION_CLASSES.join(" or ")}, and a number of days.`, 2);
    const position = await withOwner(loadConfig(withOwnerAlone(call.environment)), (db) => setKeptDays(db, site, name, Number(days), by));
    if (call.flag("json")) terminal.out(JSON.stringify({ site, class: name, keepDays: Number(days), position }));
    else terminal.out(`Class ${name} of site ${site} is kept for ${days} days${position === null ? ", as before" : `; on record at position ${position}`}.`);
    return 0;
  }),
};

function heldIn(call: Call): Held {
  const [batch, positions] = [call.text("batch"), call.text("positions")];
  if (batch !== undefined && positions !== undefined) throw new Said("Say either --batch or --positions.", 2);
  if (positions === undefined) return batch === undefined ? null : { batch };
  const [, from, to] = RANGE.exec(positions) ?? [];
  if (from === undefined || to === undefined || Number(from) > Number(to)) throw new Said("--positions is two positions with a hyphen between: 1-5000.", 2);
  return { from: Number(from), to: Number(to) };
}
