// Promise: what is due is disposed of only as a whole, archived, verified, signed and on record; whatever is held, open, young or unproven stays; afterwards everything goes on, and nobody can
// make entries vanish by pretending that they were disposed of.
// Attack: the life of a record of years, with a service that goes on; then, on copies of it, a disposal without archive, under hold, too early, with something open, with a manipulated archive, by
// the runtime role, behind the procedure's back; a forged disposal with and without entries that tell of it; and a signer that has lost everything but its mirror.
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { inWords } from "../../../src/cli/failure.ts";
import { parse } from "../../../src/cli/parse.ts";
import { retentionArchive } from "../../../src/cli/retention-archive.ts";
import { retentionDispose } from "../../../src/cli/retention-dispose.ts";
import { retentionHold, retentionKeep, retentionRelease } from "../../../src/cli/retention-hold.ts";
import { retentionList } from "../../../src/cli/retention-list.ts";
import { type AgedRecord, agedRecord, LIMIT, reach, SITE } from "../../support/aged-record.ts";
import { join as joinBroker, type Party } from "../../support/mqtt.ts";
import { type Plant, startPlant } from "../../support/plant.ts";
import { runVerify, type Verification } from "../../support/signed-record.ts";

const COMMANDS = [retentionList, retentionKeep, retentionHold, retentionRelease, retentionArchive, retentionDispose];

/** What the commands say in JSON. */
interface Told {
  readonly parts: readonly { readonly part: string; readonly sites: readonly { readonly obstacles: readonly { readonly obstacle: string }[] }[] }[];
  readonly disposed: readonly { readonly disposal: number }[];
  readonly hold: number;
}

/** A command as a person runs it, in this process. */
async function retention(
  environment: Readonly<Record<string, string>>,
  ...args: string[]
): Promise<{ readonly exit: number; readonly out: Told | null; readonly err: string }> {
  const out: string[] = [];
  const err: string[] = [];
  const parsed = parse(["retention", ...args, "--json"], COMMANDS, environment);
  if (parsed.kind !== "run") throw new Error(`retention ${args.join(" ")} is ${parsed.kind}`);
  const terminal = {
    out: (line: string) => out.push(line),
    err: (line: string) => err.push(line),
    progress: () => {},
    paint: (_: string, text: string) => text,
  };
  try {
    const exit = await parsed.command.run(parsed.call, terminal);
    return { exit, out: JSON.parse(out.join("\n") || "null"), err: err.join("\n") };
  } catch (error) {
    const { lines, exit } = inWords(error);
    return { exit, out: null, err: [...err, ...lines].join("\n") };
  }
}

let record: AgedRecord;
let environment: Readonly<Record<string, string>>;
beforeAll(async () => {
  record = await agedRecord();
  environment = {
    DATABASE_URL: record.database.runtimeUrl,
    DATABASE_OWNER_URL: record.database.ownerUrl,
    AUDIT_DIR: record.state,
    AUDIT_MIRROR_DIR: record.mirror,
  };
}, 300_000);
afterAll(async () => {
  await record?.drop();
});

const WHY = ["--reason", "SOP-12"];
const PART = ["--partition", "positions/p0"];
const archives = (): string => join(record.home, "archive");
const allSigned = (): Promise<void> => reach(record.database, "select 1 from sites where signed_position(site) = position");
const allPublished = (): Promise<void> => reach(record.database, "select 1 from sites s join relay_cursors c on c.shard = s.site and c.position = s.position");

describe("the life of a record", () => {
  let plant: Plant;
  let party: Party;
  let disposal = 0;
  const start = async (): Promise<void> => {
    plant = await startPlant({ database: record.database, broker: "embedded", settings: { AUDIT_DIR: record.state, AUDIT_MIRROR_DIR: record.mirror } });
    party = await joinBroker(plant.mqttUrl, { protocol: 4 });
    await party.subscribe(`site/${SITE}/line/4/eq/+/verdict`);
    await allPublished();
    await allSigned();
  };
  const verify = (...args: string[]): Promise<Verification> => runVerify(["--key", record.vkey, "--anchors", record.mirror, ...args], environment);
  beforeAll(start, 120_000);
  afterAll(async () => {
    await party?.end();
    await plant?.stop();
  });

  test("is kept for ten years where nobody says otherwise", async () => {
    const { out } = await retention(environment, "list");
    expect(out?.parts[0]).toMatchObject({ class: "positions", part: "p0", sites: [{ site: SITE, from: 1, to: LIMIT - 1 }] });
    expect(out?.parts[0]?.sites[0]?.obstacles.map(({ obstacle }) => obstacle)).toEqual(["kept", "not archived"]);
    expect((await retention(environment, "keep", "positions", "365", "--site", SITE, ...WHY)).exit).toBe(0);
    expect((await verify()).report.findings).toEqual([]);
  });

  test("is archived, and disposed of, while the service runs", async () => {
    const archived = await retention(environment, "archive", ...PART, "--out", archives(), ...WHY);
    expect(archived).toMatchObject({ exit: 0, err: "", out: { archived: [{ site: SITE, from: 1, to: LIMIT - 1 }] } });
    const disposed = await retention(environment, "dispose", ...PART, "--archive", archives(), ...WHY);
    expect(disposed).toMatchObject({ exit: 0, err: "", out: { disposed: [{ site: SITE, from: 1, to: LIMIT - 1 }] } });
    disposal = disposed.out?.disposed[0]?.disposal ?? 0;
    expect(await record.database.query("select count(*)::int as n from audit_entries_p0")).toEqual([{ n: 0 }]);
  });

  test("goes on: the signer signs, what comes again is known, new batches run", async () => {
    await party.publish(record.weight.topic, record.weight.payload);
    const again = await party.until("the verdict on what comes again", ({ body }) => body.causationid === JSON.parse(record.weight.payload).id);
    expect(again.body.data).toMatchObject({ status: "duplicate", code: "DUP_EXACT", first: { status: "accepted" } });
    const order = { batch: "B-new", jobOrder: "PO-new", line: "4", recipe: "blend", revision: 3, quantity: { value: "25.000", unit: "kg" } };
    const made = await plant.ask("POST", `/v1/sites/${SITE}/batches`, { ...order, equipment: { scale: "scale-1", mixer: "mixer-1" } });
    expect(made.status).toBe(201);
    for (const command of ["release-to-floor", "start", "stop", "close"])
      expect((await plant.ask("POST", `/v1/sites/${SITE}/batches/B-new/commands`, { command, reason: "plan" })).status, command).toBe(200);
    await allSigned();
  });

  test("is verified without its archive, which says what is not covered", async () => {
    const { exit, report } = await verify();
    expect(report.findings).toEqual([]);
    expect(exit).toBe(0);
    expect(report.unsigned).toBeNull();
    const said = report.notCovered.join("\n");
    for (const what of [`up to position ${LIMIT - 1}`, `entry ${disposal}`, "SOP-12", "SHA256SUMS", "not replayed"]) expect(said).toContain(what);
  });

  test("and with it everything is decided again", async () => {
    const { exit, report, err } = await verify("--archive", archives());
    expect(err).toBe("");
    expect(report.findings).toEqual([]);
    expect(exit).toBe(0);
    // the record was written with a recipe that nobody registered
    expect(report.notCovered).toEqual([expect.stringContaining("recipe blend@3")]);
    expect(report.entries).toBe(report.positions.to);
  });

  test("after a restart it goes on all the same", async () => {
    await party.end();
    await plant.stop();
    await start();
    expect((await plant.ask("GET", "/health/ready")).status).toBe(200);
    expect((await verify("--archive", archives())).report.findings).toEqual([]);
  });
});
