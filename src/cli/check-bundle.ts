import { type BundleFolder, bundleIn } from "../bundle/folder.file.ts";
import type { Manifest } from "../bundle/manifest.ts";
import { MAX_EVENT_BYTES } from "../receive/delivery.ts";
import { recordedBundle } from "../replay/recorded-bundle.ts";
import { type Replayed, replaySite } from "../replay/run.ts";
import { keysFrom } from "../verify/handed-over.file.ts";
import type { AnchorNote } from "../verify/signed-roots.ts";
import type { Given } from "../verify/trust.ts";
import { verifyBundle } from "../verify/verify-bundle.ts";
import type { Verified } from "../verify/verify-site.ts";
import { Said } from "./failure.ts";
import type { Terminal } from "./terminal.ts";

export interface Checking {
  readonly keys: Given | null;
  readonly anchors: readonly AnchorNote[] | null;
  /** Whether what can be decided again is. */
  readonly replay: boolean;
  readonly topicPrefix: string;
  readonly terminal: Terminal;
}

/** Verifies the bundle in a folder, by what is in it. */
export function checkBundle(path: string, { keys, anchors, replay, topicPrefix, terminal }: Checking): Promise<Verified> {
  const reading = { prefix: topicPrefix, maxBytes: MAX_EVENT_BYTES };
  const again = async (of: BundleFolder, manifest: Manifest): Promise<Replayed | null> => {
    const recorded = recordedBundle(of, manifest);
    return recorded === null ? null : (await replaySite(recorded, reading)).replayed;
  };
  return verifyBundle(bundleIn(path), { keys, anchors, replay: replay ? again : null, progress: progressOn(terminal) });
}

export const progressOn =
  (terminal: Terminal) =>
  (position: number, of: number): void =>
    terminal.progress(`Position ${position} of ${of} …`);

/** The keys that a person handed over; null: none. */
export function keysOf(given: string | undefined): Given | null {
  const keys = given === undefined ? null : keysFrom(given);
  if (typeof keys === "string") throw new Said(keys);
  return keys;
}
