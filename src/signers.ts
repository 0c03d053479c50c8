import { join } from "node:path";
import { readBreaks } from "./audit/breaks.file.ts";
import { disk } from "./audit/disk.file.ts";
import { disposedThrough } from "./audit/disposals.file.ts";
import { handCheckpoint, lookAtLog } from "./audit/log.store.ts";
import { signerName } from "./audit/note-key.ts";
import { rotateLog } from "./audit/rotation.store.ts";
import { readCheckpoint } from "./audit/settings.store.ts";
import { type Signing, type SigningLoop, signOn } from "./audit/sign-on.ts";
import type { SignerRefusal } from "./audit/signer.ts";
import { loadSigningKeys } from "./audit/signer-key.file.ts";
import { signerFiles } from "./audit/signer-state.file.ts";
import { createSigner } from "./audit/signing.ts";
import type { Db } from "./db/database.ts";
import type { Log } from "./ops/log.ts";
import type { Time } from "./ops/time.ts";

export interface SignersOptions {
  readonly db: Db;
  readonly time: Time;
  readonly log: Log;
  /** Keys and state of the signers, a folder a site; the database's administrator must not be able to write there. */
  readonly directory: string;
  /** The mirrors, on another path: the first anchor. */
  readonly mirror: string;
  /** Begin with a log that was signed before and has no anchor any more: whoever says so vouches for what is there. */
  readonly adopt: boolean;
  /** More of a site is signed. */
  onSigned(site: string): void;
}

/** The signers of the sites that this process serves. Each has its own key, `signer.pem`, made at its first start; `signer.vkey` beside it is for whoever verifies. Keys that follow it: `signalbox rotate-key`. */
export interface Signers {
  /** Resolves when its signer has looked at the record once. */
  open(site: string): Promise<void>;
  /** Why nothing of a site may be decided; null: it may. A signer that is away, or that found an entry changed, holds nothing back. */
  heldBack(site: string): string | null;
  readonly conditions: ReadonlyMap<string, Signing>;
  stop(): Promise<void>;
}

/** What a restored backup looks like that nobody has put on record: whoever decides on it gives positions and numbers a second time. */
const SHORTER: ReadonlySet<SignerRefusal> = new Set(["shrunken", "foreign-log", "broken-off"]);

export function createSigners({ db, time, log, directory, mirror, adopt, onSigned }: SignersOptions): Signers {
  const loops = new Map<string, SigningLoop>();
  return {
    async open(site) {
      if (loops.has(site)) return;
      const state = join(directory, site);
      const signer = createSigner({
        files: signerFiles({ disk, state, mirror: join(mirror, site) }),
        ...(await loadSigningKeys(disk, state, signerName(site))),
        breaks: await readBreaks(disk, state),
        // asked at every step: a disposal may be told while the service runs
        disposed: () => disposedThrough(disk, state),
        // a site's first entries are there before its signer; what was signed once is never adopted by itself
        adopt: adopt || (await readCheckpoint(db, site)) === null,
        look: (ask) => lookAtLog(db, site, ask),
        hand: async (checkpoint, tiles) => {
          await handCheckpoint(db, site, checkpoint, tiles);
          await rotateLog(db, site, checkpoint);
        },
      });
      const loop = signOn(signer, time, {
        onSigned: () => onSigned(site),
        onRefused: ({ because, position, detail }) => log.error({ site, because, position }, `nothing is signed any more: ${detail}`),
        onTrouble: (error) => log.error({ err: error, site }, "nothing can be signed until this ends; it is tried again"),
      });
      loops.set(site, loop);
      await loop.begun;
    },
    heldBack(site) {
      const condition = loops.get(site)?.condition;
      return condition?.kind === "refused" && SHORTER.has(condition.refusal.because) ? condition.refusal.detail : null;
    },
    get conditions() {
      return new Map([...loops].map(([site, loop]) => [site, loop.condition]));
    },
    async stop() {
      await Promise.all([...loops.values()].map((loop) => loop.stop()));
    },
  };
}
