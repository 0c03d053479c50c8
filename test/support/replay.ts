import { openDatabase } from "../../src/db/database.ts";
import { MAX_EVENT_BYTES } from "../../src/receive/delivery.ts";
import { shippedStateMachines } from "../../src/registry/state-machines.file.ts";
import { recordedSite, sitesIn } from "../../src/replay/recorded.store.ts";
import { type Replayed, replaySite } from "../../src/replay/run.ts";
import { untoldOf } from "../../src/replay/standing.ts";
import { hashesOf } from "../../src/verify/definitions.ts";
import type { Finding } from "../../src/verify/finding.ts";
import { readRecord } from "../../src/verify/record.store.ts";
import { verifySite } from "../../src/verify/verify-site.ts";

/** What `signalbox verify` makes of a site without the signer's key, and what was decided again on the way. */
export interface VerifiedAgain {
  readonly replayed: Replayed;
  /** All but that nobody vouches for the checkpoints. */
  readonly findings: readonly Finding[];
}

/** Decides the record of each site of a database again, and holds every entry and every present row against what comes of it. */
export async function verifyDatabase(url: string): Promise<readonly VerifiedAgain[]> {
  const { db, close } = openDatabase(url, { max: 2, applicationName: "signalbox test" });
  const shipped = hashesOf(await shippedStateMachines());
  const verified: VerifiedAgain[] = [];
  try {
    for (const site of await sitesIn(db)) {
      let replayed: Replayed | null = null;
      const found = await readRecord(db, site, (record, trx) =>
        verifySite(record, {
          keys: null,
          anchors: null,
          shipped,
          async replay() {
            const recorded = await recordedSite(trx, site, null);
            const again = await replaySite(recorded, { prefix: "", maxBytes: MAX_EVENT_BYTES });
            replayed = again.replayed;
            return { ...again.replayed, standing: again.replay.standing(), untold: untoldOf(recorded) };
          },
          progress() {},
        }),
      );
      if (found === null || replayed === null) throw new Error(`site ${site} was not decided again`);
      verified.push({ replayed, findings: found.findings.list().filter(({ severity }) => severity !== "unclear") });
    }
  } finally {
    await close();
  }
  return verified;
}
